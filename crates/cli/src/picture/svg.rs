//! Pictures as SVG: the looks that they share with the benchmarks of this repository, and texts that cannot break out.

use std::fmt::Write;

pub(crate) const WIDTH: f64 = 860.0;
/// Where texts begin at the left.
pub(crate) const MARGIN: f64 = 12.0;

/// Readable on light and on dark: the page's own ground, text in a grey that both carry, or as the reader prefers.
const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #6e7781; }
.title { font-size: 16px; font-weight: 600; }
.panel { font-size: 13px; font-weight: 600; }
.small { font-size: 11px; }
.bold { font-weight: 600; }
.tiny { font-size: 10px; }
.right { text-anchor: end; }
.middle { text-anchor: middle; }
.axis { stroke: #8a939b; stroke-opacity: 0.3; stroke-width: 1; }
@media (prefers-color-scheme: dark) {
  text { fill: #b4bcc4; }
}
";

/// Text for XML and HTML. What XML has no room for, like most control characters, is replaced.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            letter if letter.is_control() => safe.push('\u{fffd}'),
            letter => safe.push(letter),
        }
    }
    safe
}

/// The end of a text that is too long: of a path that is the part that tells most.
pub(crate) fn clipped(text: &str, most: usize) -> String {
    let letters = text.chars().count();
    if letters <= most {
        return text.to_owned();
    }
    let end: String = text.chars().skip(letters - most.saturating_sub(1)).collect();
    format!("\u{2026}{end}")
}

/// A text in lines of at most so many letters, broken at spaces where there are any.
pub(crate) fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word = word.to_owned();
        // There is one from the beginning on.
        while let Some(line) = lines.last_mut() {
            let used = line.chars().count();
            if used == 0 && word.chars().count() > most {
                let rest = word.chars().skip(most).collect();
                line.extend(word.chars().take(most));
                lines.push(String::new());
                word = rest;
                continue;
            }
            if used > 0 && used + 1 + word.chars().count() > most {
                lines.push(String::new());
                continue;
            }
            if used > 0 {
                line.push(' ');
            }
            line.push_str(&word);
            break;
        }
    }
    lines
}

/// How wide a text of this size comes out, about.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.55
}

/// A drawing under construction: it grows downwards.
#[derive(Debug)]
pub(crate) struct Drawing {
    pub(crate) body: String,
    pub(crate) y: f64,
}

impl Drawing {
    /// With a title, and what is to be said first.
    pub(crate) fn new(title: &str, remark: &str) -> Self {
        let mut drawing = Self { body: String::new(), y: 22.0 };
        drawing.text("title", MARGIN, &clipped(title, 95));
        drawing.y += 18.0;
        for line in wrapped(remark, 140) {
            drawing.text("small", MARGIN, &line);
            drawing.y += 14.0;
        }
        drawing
    }

    /// A text whose base line is where the drawing has come to.
    pub(crate) fn text(&mut self, class: &str, x: f64, text: &str) {
        self.text_at(class, x, self.y, text);
    }

    pub(crate) fn text_at(&mut self, class: &str, x: f64, y: f64, text: &str) {
        let text = escape(text);
        let _ = writeln!(self.body, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
    }

    /// A rectangle, and what is told about it to who points at it.
    pub(crate) fn rect(&mut self, class: &str, [x, y, width, height]: [f64; 4], hint: &str) {
        let _ = write!(
            self.body,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\""
        );
        self.close("rect", hint);
    }

    /// Several rectangles of the same kind, as one.
    pub(crate) fn rects(&mut self, class: &str, rects: &[[f64; 4]], hint: &str) {
        if let [one] = rects {
            return self.rect(class, *one, hint);
        }
        let _ = write!(self.body, "<path class=\"{class}\" d=\"");
        for [x, y, width, height] in rects {
            let _ = write!(self.body, "M{x:.1} {y:.1}h{width:.1}v{height:.1}h-{width:.1}z");
        }
        self.body.push('"');
        self.close("path", hint);
    }

    pub(crate) fn line(&mut self, class: &str, [x1, y1, x2, y2]: [f64; 4], hint: &str) {
        let _ = write!(
            self.body,
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\""
        );
        self.close("line", hint);
    }

    fn close(&mut self, element: &str, hint: &str) {
        let _ = match hint {
            "" => writeln!(self.body, "/>"),
            hint => writeln!(self.body, "><title>{}</title></{element}>", escape(hint)),
        };
    }

    /// The whole, with the looks that it needs besides; as a file, or inside a page.
    pub(crate) fn finish(self, title: &str, style: &str, definitions: &str) -> String {
        let (title, height) = (escape(title), self.y.ceil());
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
             role=\"img\" aria-label=\"{title}\">\n<style>{STYLE}{style}</style>\n{definitions}{}</svg>\n",
            self.body
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_breaks_out_of_its_place() {
        assert_eq!(escape("<a b='c'>&\"\u{1b}\u{0}é"), "&lt;a b=&#39;c&#39;&gt;&amp;&quot;\u{fffd}\u{fffd}é");
        assert_eq!(clipped("/a/long/path", 5), "\u{2026}path");
        assert_eq!(clipped("short", 5), "short");
    }

    #[test]
    fn lines_hold_every_letter_and_are_short() {
        for text in ["", "one", "one two three", "a-word-that-is-too-long-for-any-line and more", "a  b"] {
            let lines = wrapped(text, 10);
            assert!(lines.iter().all(|line| line.chars().count() <= 10), "{lines:?}");
            let letters = |text: &str| text.replace(' ', "");
            assert_eq!(letters(&lines.concat()), letters(text));
        }
    }
}
