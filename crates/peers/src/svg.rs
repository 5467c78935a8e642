//! The results as pictures: a bar for each log, a panel for each number of threads.

use std::fmt::Write;
use std::path::Path;

use crate::log::Promise;
use crate::logs::Role;
use crate::results::{Report, Row, Section};
use crate::table::{count, plain};
use crate::work::Kind;

const WIDTH: f64 = 860.0;
/// Where the bars begin, and how long the longest is.
const LEFT: f64 = 300.0;
const LONGEST: f64 = 400.0;
const BAR: f64 = 14.0;
const STEP: f64 = 20.0;
const TOP: f64 = 54.0;
const PANEL_GAP: f64 = 40.0;

/// Readable on light and on dark: the page's own ground, text in a grey that both carry, or as the reader prefers.
const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #6e7781; }
.title { font-size: 16px; font-weight: 600; }
.panel { font-size: 13px; font-weight: 600; }
.small { font-size: 11px; }
.subject { fill: #0a7ea4; } .peer { fill: #8a939b; } .baseline { fill: #b58a2b; } .limit { fill: #6f9a5b; }
.less { fill-opacity: 0.45; }
.range { stroke: #6e7781; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  text { fill: #b4bcc4; } .range { stroke: #dfe4e8; } .subject { fill: #2fb3dd; }
}
";

/// One picture for each kind of work and size.
pub fn write(directory: &Path, report: &Report) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let mut pictures: Vec<(String, Vec<&Section>)> = Vec::new();
    for section in &report.sections {
        let name = picture(section);
        match pictures.iter_mut().find(|(other, _)| *other == name) {
            Some((_, sections)) => sections.push(section),
            None => pictures.push((name, vec![section])),
        }
    }
    for (name, sections) in pictures {
        std::fs::write(directory.join(format!("{name}.svg")), draw(&name, &sections))?;
    }
    Ok(())
}

/// The name of the work without the number of threads.
fn picture(section: &Section) -> String {
    let threads = format!("{}t", section.work.threads);
    let parts: Vec<&str> = section.name.split('/').filter(|part| *part != threads).collect();
    parts.join("-")
}

fn draw(name: &str, sections: &[&Section]) -> String {
    let mut body = String::new();
    let mut y = TOP;
    for section in sections {
        panel(&mut body, section, &mut y);
    }
    let kind = sections.first().map(|section| section.work.kind);
    let unit = if kind == Some(Kind::Open) { "ms, shorter is better" } else { "records a second" };
    let mut text = String::new();
    let _ = write!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" height=\"{y}\" role=\"img\">\n\
         <title>{name}</title>\n<style>{STYLE}</style>\n\
         <text class=\"title\" x=\"12\" y=\"22\">{name}: {unit}</text>\n\
         <text class=\"small\" x=\"12\" y=\"40\">Medians; the line spans all rounds. Pale: promises less at return than tidelog; *: a kill loses it.</text>\n\
         {body}</svg>\n"
    );
    text
}

fn panel(body: &mut String, section: &Section, y: &mut f64) {
    let value = |row: &Row| match section.work.kind {
        Kind::Open => row.seconds().map(|spread| (spread, 1e3)),
        _ => row.rate().map(|spread| (spread, 1.0)),
    };
    let mut rows: Vec<(&Row, [f64; 3])> = section
        .rows
        .iter()
        .filter_map(|row| {
            let (spread, factor) = value(row)?;
            Some((row, [spread.median, spread.min, spread.max].map(|value| value * factor)))
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    rows.sort_by(|a, b| b.1[0].total_cmp(&a.1[0]));
    if section.work.kind == Kind::Open {
        rows.reverse();
    }
    let promise = section.row("tidelog").and_then(Row::promise);
    let greatest = rows.iter().map(|(_, values)| values[2]).fold(f64::MIN_POSITIVE, f64::max);
    let _ = writeln!(body, "<text class=\"panel\" x=\"12\" y=\"{:.0}\">{}</text>", *y + 12.0, section.name);
    *y += 22.0;
    for (row, [median, min, max]) in rows {
        let length = |value: f64| value / greatest * LONGEST;
        let middle = *y + BAR / 2.0;
        let less = if row.promise() < promise { " less" } else { "" };
        let _ = writeln!(
            body,
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}{}</text>\
             <rect class=\"{}{less}\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"2\"/>\
             <line class=\"range\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>\
             <text class=\"small\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT - 8.0,
            middle + 4.0,
            escape(&row.name),
            if row.promise() == Some(Promise::Process) && !section.work.reads() { " *" } else { "" },
            class(row.role),
            *y,
            length(median).max(1.0),
            LEFT + length(min),
            LEFT + length(max),
            LEFT + length(max) + 8.0,
            middle + 4.0,
            if section.work.kind == Kind::Open { plain(median) } else { count(median) },
        );
        *y += STEP;
    }
    *y += PANEL_GAP - STEP;
}

fn class(role: Role) -> &'static str {
    match role {
        Role::Subject => "subject",
        Role::Peer => "peer",
        Role::Baseline => "baseline",
        Role::Limit => "limit",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
