//! The map as one picture: a bar for each segment, or where there are many of them a box.

use super::cells::{Kind, Share, Slot};
use super::survey::{Survey, lost};
use crate::picture::svg::{Drawing, MARGIN, WIDTH, clipped, text_width, wrapped};
use crate::units::{bytes, time};

/// So many segments have a bar each.
const BARS_MAX: usize = 40;
/// Boxes stand in so many rows at most, and so many are the smallest row and the largest.
const ROWS_MAX: usize = 48;
const BOXES_MIN: usize = 16;
const BOXES_MAX: usize = 128;
const PROBLEMS_DRAWN: usize = 12;
const CURSORS_DRAWN: usize = 12;
const FLAG_LETTERS: usize = 28;
/// Less than this would not be seen.
const SEEN: f64 = 3.0;

/// What is urgent is told by a pattern too, so that it does not hang on colours alone.
const STYLE: &str = "\
.records, .written { fill: #0a7ea4; } .batches { fill: #56539c; } .padding { fill: #8a939b; fill-opacity: 0.6; }
.unwritten { fill: #8a939b; fill-opacity: 0.18; } .retired { fill: url(#retired); } .missing { fill: url(#missing); }
.unpublished { fill: #d99a00; } .torn { fill: url(#torn); } .damaged { fill: url(#damaged); }
.stripe { stroke: #8a939b; } .stripe-bad { stroke: #c2300f; } .stripe-doubt { stroke: #d99a00; } .bad { fill: #c2300f; } .faint { fill: #c2300f; fill-opacity: 0.15; } .dark { stroke: #3d0d02; }
.active { fill: #1a7f4b; } .filled { fill: #d99a00; } .prepared { fill: #8a939b; }
text.problem { fill: #c2300f; } .mark { stroke: #24292f; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  .records, .written { fill: #2fb3dd; } .batches { fill: #b9b2f7; } .active { fill: #4cc38a; }
  .bad { fill: #f0603c; } .stripe-bad { stroke: #f0603c; } text.problem { fill: #f58a6d; } .mark { stroke: #ffffff; }
}
";

const DEFINITIONS: &str = "\
<defs>
<pattern id=\"damaged\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><rect class=\"bad\" width=\"4\" height=\"4\"/><line class=\"dark\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"4\" stroke-width=\"1.6\"/></pattern>
<pattern id=\"missing\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(-45)\"><rect class=\"faint\" width=\"5\" height=\"5\"/><line class=\"stripe-bad\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"5\" stroke-width=\"3\"/></pattern>
<pattern id=\"torn\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><line class=\"stripe-doubt\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"4\" stroke-width=\"4.5\"/></pattern>
<pattern id=\"retired\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><line class=\"stripe\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"5\" stroke-width=\"1.5\"/></pattern>
</defs>
";

/// Where the segments stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    slots_per_row: usize,
    slots_per_box: usize,
    left: f64,
    box_width: f64,
    height: f64,
    step: f64,
    gap: f64,
}

impl Layout {
    pub(super) fn new(slots: usize) -> Self {
        if slots <= BARS_MAX {
            let (left, box_width) = (128.0, 520.0);
            return Self {
                slots_per_row: 1,
                slots_per_box: 1,
                left,
                box_width,
                height: 14.0,
                step: 20.0,
                gap: 0.0,
            };
        }
        let slots_per_row = slots.div_ceil(ROWS_MAX).next_power_of_two().max(BOXES_MIN);
        let slots_per_box = slots_per_row.div_ceil(BOXES_MAX);
        let box_width = 640.0 / (slots_per_row / slots_per_box) as f64;
        Self { slots_per_row, slots_per_box, left: 84.0, box_width, height: 11.0, step: 16.0, gap: 1.0 }
    }

    /// Into how many cells a segment is cut. Where each has a bar damage is drawn over them, in its own place.
    pub(super) fn cells(self) -> usize {
        match (self.is_bars(), self.slots_per_box) {
            (true, _) => (self.box_width / SEEN) as usize,
            (_, 1) => ((self.box_width / SEEN) as usize).clamp(1, 6),
            _ => 1,
        }
    }

    fn is_bars(self) -> bool {
        self.slots_per_row == 1
    }

    /// Where a part of a segment stands in its row.
    fn x(self, slot: usize, part: f64) -> f64 {
        let number = (slot % self.slots_per_row) as f64 / self.slots_per_box as f64;
        let (number, within) =
            if self.slots_per_box == 1 { (number, part) } else { (number.floor(), number.fract()) };
        self.left + number * self.box_width + within * (self.box_width - self.gap)
    }

    fn x_of(self, survey: &Survey, index: usize, lsn: u64) -> f64 {
        let slot = &survey.slots[index];
        let within = lsn.clamp(slot.base, slot.end) - slot.base;
        self.x(index, within as f64 / (slot.end - slot.base).max(1) as f64)
    }
}

pub(super) fn draw(survey: &Survey) -> String {
    let layout = Layout::new(survey.slots.len());
    let title = format!("tidelog map: {}", survey.directory);
    let mut drawing = Drawing::new(&title, &survey.summary());
    drawing.y += 14.0;
    headings(&mut drawing, layout);
    for (index, row) in survey.slots.chunks(layout.slots_per_row).enumerate() {
        let first = index * layout.slots_per_row;
        labels(&mut drawing, layout, row);
        pieces(&mut drawing, layout, first, row);
        if layout.is_bars() {
            overlay(&mut drawing, layout, survey, first);
        }
        drawing.y += layout.step;
        flags(&mut drawing, layout, survey, first..first + row.len());
    }
    drawing.y += 18.0;
    legend(&mut drawing, layout, survey);
    marks(&mut drawing, survey);
    problems(&mut drawing, survey);
    drawing.y += 4.0;
    drawing.finish(&title, STYLE, DEFINITIONS)
}

fn headings(drawing: &mut Drawing, layout: Layout) {
    if layout.is_bars() {
        drawing.text("tiny right", 56.0, "SEGMENT");
        drawing.text("tiny", 66.0, "STATE");
        drawing.text("tiny right", 686.0, "FILL");
        drawing.text("tiny", 698.0, "MADE, OR SEALED");
    } else {
        let each = match layout.slots_per_box {
            1 => "A BOX IS A SEGMENT".to_owned(),
            many => format!("A BOX IS {many} SEGMENTS"),
        };
        drawing.text("tiny right", 76.0, "SEGMENT");
        drawing.text("tiny", layout.left, &each);
        drawing.text("tiny", 734.0, "MADE, OR SEALED");
    }
    drawing.y += 8.0;
}

/// What is told at the sides of a row.
fn labels(drawing: &mut Drawing, layout: Layout, row: &[Slot]) {
    let y = drawing.y + layout.height - 3.0;
    let Some(first) = row.first() else { return };
    let since = row.iter().find_map(Slot::since);
    // To the second: 2026-01-02 03:04:05.
    let at =
        since.map(|(_, at)| time(at).get(..19).unwrap_or_default().replace('T', " ")).unwrap_or_default();
    let x = if layout.is_bars() { 56.0 } else { 76.0 };
    drawing.text_at("small right", x, y, &first.number.to_string());
    if layout.is_bars() {
        let class = if first.state() == "active" { "small bold" } else { "small" };
        drawing.text_at(class, 66.0, y, first.state());
        let share = first.share();
        let fill = share.filled() as f64 * 100.0 / share.total().max(1) as f64;
        let fill = if fill > 0.0 && fill < 100.0 { fill.clamp(1.0, 99.0) } else { fill };
        drawing.text_at("small right", 686.0, y, &format!("{fill:.0}%"));
        let word = since.map_or("", |(word, _)| word);
        let beside =
            if first.segments > 1 { format!("{} segments", first.segments) } else { format!("{word} {at}") };
        drawing.text_at("small", 698.0, y, &beside);
    } else {
        drawing.text_at("small", 734.0, y, &at);
    }
}

/// The cells of a row: those in a row that show the same are one.
fn pieces(drawing: &mut Drawing, layout: Layout, first: usize, row: &[Slot]) {
    struct Piece<'a> {
        x: f64,
        width: f64,
        cell: Share,
        kind: Kind,
        from: u64,
        to: u64,
        slot: &'a Slot,
    }
    let mut all: Vec<Piece<'_>> = Vec::new();
    for (index, slots) in row.chunks(layout.slots_per_box).enumerate() {
        let slot = first + index * layout.slots_per_box;
        let parts = layout.cells();
        for part in 0..parts {
            let mut cell = Share::default();
            for share in slots.iter().filter_map(|slot| slot.cells.get(part)) {
                cell.add(share);
            }
            let x = layout.x(slot, part as f64 / parts as f64);
            let width = (layout.box_width - layout.gap) / parts as f64;
            let (from, last) = (&slots[0], &slots[slots.len() - 1]);
            let to = if slots.len() > 1 { last.end } else { from.part(part + 1) };
            let kind = if layout.is_bars() { cell.most() } else { cell.shows() };
            all.push(Piece { x, width, cell, kind, from: from.part(part), to, slot: from });
        }
    }
    let y = drawing.y;
    for run in all.chunk_by(|a, b| a.kind == b.kind) {
        let mut rects: Vec<[f64; 4]> = Vec::new();
        let mut share = Share::default();
        for piece in run {
            share.add(&piece.cell);
            match rects.last_mut() {
                Some(last) if (last[0] + last[2] - piece.x).abs() < 0.1 => last[2] += piece.width,
                _ => rects.push([piece.x, y, piece.width, layout.height]),
            }
        }
        let (start, end) = (&run[0], &run[run.len() - 1]);
        drawing.rects(start.kind.word(), &rects, &hint(start.slot, end.slot, start.from, end.to, &share));
    }
    // A state that is not the usual one is underlined.
    if !layout.is_bars() && layout.slots_per_box == 1 {
        for (index, slot) in row.iter().enumerate().filter(|(_, slot)| underlined(slot.state())) {
            let x = layout.x(first + index, 0.0);
            drawing.rect(slot.state(), [x, y + layout.height + 1.0, layout.box_width - layout.gap, 2.0], "");
        }
    }
}

fn underlined(state: &str) -> bool {
    matches!(state, "active" | "filled" | "prepared")
}

fn hint(first: &Slot, last: &Slot, from: u64, to: u64, share: &Share) -> String {
    let segments = if first.number == last.last() {
        format!("segment {}, {}", first.number, first.state())
    } else {
        format!("segments {} to {}", first.number, last.last())
    };
    let all = share.total().max(1) as f64;
    let there: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| share.of(*kind) > 0).collect();
    let part = |kind: &Kind| match there.len() {
        1 => kind.word().to_owned(),
        _ => format!("{} {:.1}%", kind.word(), share.of(*kind) as f64 * 100.0 / all),
    };
    let parts: Vec<String> = there.iter().map(part).collect();
    format!("{segments}\nLSN {from} to {to} ({})\n{}", bytes(to.saturating_sub(from)), parts.join(", "))
}

/// What is wrong with a segment, exactly where it is.
fn overlay(drawing: &mut Drawing, layout: Layout, survey: &Survey, index: usize) {
    let slot = &survey.slots[index];
    if slot.segment.is_none() {
        return;
    }
    let y = drawing.y;
    let mut put = |kind: Kind, from: u64, to: u64, what: &str, last: &mut f64| {
        if from >= slot.end || to <= slot.base || from >= to {
            return;
        }
        let x = layout.x_of(survey, index, from).min(layout.left + layout.box_width - SEEN);
        let width = (layout.x_of(survey, index, to) - x).max(SEEN);
        // Thousands of places would lie over one another.
        if x + width > *last + 0.2 {
            let hint = format!("{}: LSN {from} to {to} ({})\n{what}", kind.word(), bytes(to - from));
            drawing.rect(kind.word(), [x, y, width, layout.height], hint.trim_end());
            *last = x + width;
        }
    };
    let torn = survey.torn.unwrap_or_default();
    put(Kind::Torn, torn.0, torn.1, "behind the log's end: the next opening cuts it away", &mut 0.0);
    let mut last = 0.0;
    for (from, to) in &survey.unpublished {
        put(Kind::Unpublished, *from, *to, "a claim that is not published", &mut last);
    }
    let mut last = 0.0;
    for (from, to, what) in lost(&survey.problems, slot.segment.as_ref()) {
        put(Kind::Damaged, from, to, what, &mut last);
    }
}

/// Lines at the marks of a row, and their names below it. Names that would lie over one another stand together.
fn flags(drawing: &mut Drawing, layout: Layout, survey: &Survey, row: std::ops::Range<usize>) {
    let mut here: Vec<(f64, String, String)> = Vec::new();
    for mark in &survey.marks {
        let Some(index) = survey.place(mark.lsn).filter(|index| row.contains(index)) else { continue };
        let hint = format!("{}: LSN {}", mark.name, mark.lsn);
        here.push((layout.x_of(survey, index, mark.lsn), clipped(&mark.name, FLAG_LETTERS), hint));
    }
    if here.is_empty() {
        return;
    }
    here.sort_by(|a, b| a.0.total_cmp(&b.0));
    let top = drawing.y - layout.step;
    let bottom = top + layout.height + 3.0;
    let mut groups: Vec<(f64, f64, Vec<String>)> = Vec::new();
    for (x, name, hint) in here {
        drawing.line("mark", [x, top - 2.0, x, bottom], &hint);
        match groups.last_mut() {
            Some((from, to, names)) if x - text_width(&name, 10.0) / 2.0 < reach(*from, *to, names) => {
                *to = x;
                names.push(name);
            }
            _ => groups.push((x, x, vec![name])),
        }
    }
    for (from, to, names) in groups {
        let text = joined(&names);
        let half = text_width(&text, 10.0) / 2.0;
        let x = from.midpoint(to).clamp(MARGIN + half, (WIDTH - MARGIN - half).max(MARGIN + half));
        drawing.text_at("tiny middle", x, bottom + 9.0, &text);
    }
    drawing.y = bottom + 17.0;
}

fn reach(from: f64, to: f64, names: &[String]) -> f64 {
    from.midpoint(to) + text_width(&joined(names), 10.0) / 2.0 + 6.0
}

fn joined(names: &[String]) -> String {
    const TOLD: usize = 5;
    let more = names.len().saturating_sub(TOLD);
    let told = names[..names.len() - more].join(", ");
    if more > 0 { format!("{told}, {more} more") } else { told }
}

fn legend(drawing: &mut Drawing, layout: Layout, survey: &Survey) {
    let mut x = MARGIN;
    let mut item = |drawing: &mut Drawing, class: &str, height: f64, text: &str| {
        let width = 18.0 + text_width(text, 11.0) + 16.0;
        if x + width > WIDTH && x > MARGIN {
            x = MARGIN;
            drawing.y += 18.0;
        }
        drawing.rect(class, [x, drawing.y - 1.0 - height, 12.0, height], "");
        drawing.text("small", x + 18.0, text);
        x += width;
    };
    for (what, much, more) in survey.figures() {
        item(drawing, what, 9.0, &format!("{what} {much} ({})", more.trim()));
    }
    let states = survey.states();
    if !layout.is_bars() && layout.slots_per_box == 1 {
        for (state, _) in states.iter().filter(|(state, _)| underlined(state)) {
            item(drawing, state, 2.0, &format!("a segment that is {state}"));
        }
    }
    drawing.y += 20.0;
}

fn marks(drawing: &mut Drawing, survey: &Survey) {
    let lsn = |flag: &str| survey.lsn_of(flag);
    let line = format!("start LSN {}, durable at least to LSN {}, end LSN {}", lsn("S"), lsn("D"), lsn("E"));
    drawing.text("small", MARGIN, &line);
    drawing.y += 16.0;
    let cursors: Vec<_> = survey.marks.iter().filter_map(|mark| Some((mark, mark.lag?))).collect();
    for (mark, (lag, gate)) in cursors.iter().take(CURSORS_DRAWN) {
        let gate = if *gate { ", gates retirement" } else { "" };
        let name = clipped(&mark.name, 60);
        drawing.text(
            "small",
            MARGIN,
            &format!("cursor {name}: LSN {}, {} behind{gate}", mark.lsn, bytes(*lag)),
        );
        drawing.y += 16.0;
    }
    if cursors.len() > CURSORS_DRAWN {
        drawing.text("small", MARGIN, &format!("and {} more cursors", cursors.len() - CURSORS_DRAWN));
        drawing.y += 16.0;
    }
    for (name, error) in &survey.broken_cursors {
        for line in wrapped(&format!("cursor {}: {error}", clipped(name, 60)), 140) {
            drawing.text("small problem", MARGIN, &line);
            drawing.y += 14.0;
        }
    }
}

fn problems(drawing: &mut Drawing, survey: &Survey) {
    drawing.y += 4.0;
    for problem in survey.problems.iter().take(PROBLEMS_DRAWN) {
        let lost = match (problem.lsn, problem.lost_to) {
            (Some(from), Some(to)) => format!("; lost: LSN {from} to {to}"),
            _ => String::new(),
        };
        // What to do next is told by the command, and by the page.
        let what = problem.message.split(';').next().unwrap_or_default();
        let file = problem.path.as_ref().and_then(|path| path.file_name());
        let file =
            file.map(|file| format!(" [{}]", clipped(&file.to_string_lossy(), 40))).unwrap_or_default();
        for line in wrapped(&format!("{}: {what}{lost}{file}", problem.outcome.word()), 136) {
            drawing.text("small problem", MARGIN, &line);
            drawing.y += 15.0;
        }
    }
    if survey.problems.len() > PROBLEMS_DRAWN {
        let more = survey.problems.len() - PROBLEMS_DRAWN;
        drawing.text("small problem", MARGIN, &format!("and {more} more places"));
        drawing.y += 14.0;
    }
}
