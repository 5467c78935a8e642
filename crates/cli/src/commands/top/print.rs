//! What `top` shows: a screen that is drawn again in its place, a line, or an object.

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tidelog::CursorInfo;

use super::Interval;
use crate::color::{Colors, Tone};
use crate::commands::info::table;
use crate::decode::escaped;
use crate::exit::Fail;
use crate::out::Out;
use crate::units::{bytes, time};

/// A header again after so many lines.
const HEADER_EVERY: u64 = 20;
/// Of the screen, besides cursors.
const LINES: usize = 12;

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

fn bytes_rate(rate: Option<f64>) -> String {
    or_dash(rate.map(|rate| format!("{}/s", bytes(rate as u64))))
}

/// With one digit behind the point where it is small.
fn plain(rate: f64) -> String {
    if rate > 0.0 && rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

impl Interval<'_> {
    fn records_text(&self) -> String {
        let estimated = self.now.records.is_some_and(|records| records.estimated);
        or_dash(
            self.records_per_second()
                .map(|rate| format!("{}{}", if estimated { "~" } else { "" }, plain(rate))),
        )
    }

    /// Made, sealed and retired in a second.
    fn segment_rates(&self) -> [Option<f64>; 3] {
        [self.rate(|look| look.made), self.rate(|look| look.sealed), self.rate(|look| look.retired)]
    }
}

/// A line for each interval.
pub(super) fn line(interval: &Interval<'_>, number: u64, out: &mut Out) -> Result<(), Fail> {
    let row = |columns: [&str; 10]| {
        let [at, writer, end, bytes, records, behind, made, sealed, retired, cursors] = columns;
        format!(
            "{at:<24} {writer:>8} {end:>14} {bytes:>12} {records:>10} {behind:>11} {made:>6} {sealed:>6} {retired:>8}  \
             {cursors}"
        )
    };
    if number.is_multiple_of(HEADER_EVERY) {
        let header = [
            "TIME",
            "WRITER",
            "END",
            "BYTES",
            "RECORDS/S",
            "NOT DURABLE",
            "MADE/S",
            "SEAL/S",
            "RETIRE/S",
            "CURSORS BEHIND",
        ];
        out.line(row(header).trim_end())?;
    }
    let now = interval.now;
    let [made, sealed, retired] = interval.segment_rates().map(|rate| or_dash(rate.map(plain)));
    let behind = |cursor: &CursorInfo| {
        let name = escaped(cursor.name.as_bytes());
        match &cursor.state {
            Ok(state) => format!("{name} {}", bytes(state.lag_bytes)),
            Err(_) => format!("{name} damaged"),
        }
    };
    out.line(
        row([
            &time(SystemTime::now()),
            &or_dash(now.writer.map(|pid| pid.to_string())),
            &now.end.to_string(),
            &bytes_rate(interval.rate(|look| look.end)),
            &interval.records_text(),
            &bytes(interval.not_durable()),
            &made,
            &sealed,
            &retired,
            &now.cursors.iter().map(behind).collect::<Vec<_>>().join(", "),
        ])
        .trim_end(),
    )
}

pub(super) fn object(interval: &Interval<'_>) -> Value {
    let now = interval.now;
    let [made, sealed, retired] = interval.segment_rates();
    let cursor = |cursor: &CursorInfo| match &cursor.state {
        Ok(state) => json!({
            "name": cursor.name,
            "position": state.position.get(),
            "lag_bytes": state.lag_bytes,
            "gate": state.gate,
            "bytes_per_second": interval.cursor_rate(&cursor.name),
        }),
        Err(error) => json!({"name": cursor.name, "error": error.to_string()}),
    };
    json!({
        "command": "top",
        "time": time(SystemTime::now()),
        "seconds": interval.seconds(),
        "writer_pid": now.writer,
        "start": now.start,
        "durable": now.durable,
        "end": now.end,
        "bytes_per_second": interval.rate(|look| look.end),
        "records": now.records.map(|records| records.count),
        "records_estimated": now.records.is_some_and(|records| records.estimated),
        "records_per_second": interval.records_per_second(),
        "segments": now.segments,
        "spares": now.spares,
        "segments_made_per_second": made,
        "segments_sealed_per_second": sealed,
        "segments_retired_per_second": retired,
        "cursors": now.cursors.iter().map(cursor).collect::<Vec<_>>(),
        "notes": now.notes,
    })
}

/// At a terminal.
#[derive(Debug)]
pub(super) struct Screen {
    directory: String,
    interval: Duration,
    /// Of what stands there.
    lines: usize,
    /// The last that happened, and when.
    note: Option<String>,
}

impl Screen {
    pub(super) fn new(directory: &Path, interval: Duration) -> Self {
        Self {
            directory: escaped(directory.display().to_string().as_bytes()),
            interval,
            lines: 0,
            note: None,
        }
    }

    pub(super) fn draw(
        &mut self,
        interval: &Interval<'_>,
        colors: Colors,
        out: &mut Out,
    ) -> Result<(), Fail> {
        let (width, height) = size();
        let lines = self.text(interval, colors, height);
        if self.lines > 0 {
            // Up to the first of our lines, and away with them.
            out.bytes(format!("\u{1b}[{}A\u{1b}[J", self.lines).as_bytes())?;
        }
        self.lines = lines.len();
        for line in lines {
            // A line that went on in the next row would be one row too many to go up.
            let fits: String =
                if line.contains('\u{1b}') { line } else { line.chars().take(width).collect() };
            out.line(&fits)?;
        }
        Ok(())
    }

    fn text(&mut self, interval: &Interval<'_>, colors: Colors, height: usize) -> Vec<String> {
        let now = interval.now;
        let mut lines = Vec::new();
        let mut say = |name: &str, text: String| lines.push(format!("{name:<11} {text}"));
        if let Some(note) = now.notes.last() {
            self.note = Some(format!("{}: {note}", time(SystemTime::now())));
        }
        say("log", format!("{}, every {:?}", self.directory, self.interval));
        say("writer", now.writer.map_or("none".to_owned(), |pid| format!("pid {pid} has it open")));
        let all = bytes(now.end.saturating_sub(now.start));
        say("range", format!("LSN {} to {} ({all})", now.start, now.end));
        say("bytes", bytes_rate(interval.rate(|look| look.end)));
        say("records", format!("{}/s", interval.records_text()));
        say("durable", format!("to LSN {}, {} behind", now.durable, bytes(interval.not_durable())));
        let [made, sealed, retired] = interval.segment_rates().map(|rate| or_dash(rate.map(plain)));
        say(
            "segments",
            format!(
                "{} of {}, {} spare; {made} made, {sealed} sealed, {retired} retired a second",
                now.segments,
                bytes(now.segment_bytes),
                now.spares
            ),
        );
        if let Some(note) = &self.note {
            lines.push(format!("{:<11} {}", "note", colors.paint(Tone::Doubtful, note)));
        }
        let shown = now.cursors.len().min(height.saturating_sub(LINES).max(1));
        if shown > 0 {
            lines.push(String::new());
            let mut table = table(&["CURSOR", "POSITION", "BEHIND", "RATE", "GATE"], 1..4);
            for cursor in &now.cursors[..shown] {
                let name = escaped(cursor.name.as_bytes());
                match &cursor.state {
                    Ok(state) => table.add_row([
                        name,
                        state.position.to_string(),
                        bytes(state.lag_bytes),
                        bytes_rate(interval.cursor_rate(&cursor.name)),
                        if state.gate { "yes" } else { "no" }.to_owned(),
                    ]),
                    Err(_) => table.add_row([name, "damaged".to_owned()]),
                };
            }
            lines.extend(table.to_string().lines().map(|line| line.trim_end().to_owned()));
            if shown < now.cursors.len() {
                lines.push(format!("and {} more", now.cursors.len() - shown));
            }
        }
        lines
    }
}

/// Columns and rows of the terminal.
fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or((80, 24), |size| (usize::from(size.ws_col), usize::from(size.ws_row)))
}
