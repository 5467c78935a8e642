//! The map for a terminal: a glyph for each cell, and a row for each segment or for several.

use std::fmt::Write;

use super::cells::{Kind, Share, Slot};
use super::survey::Survey;
use crate::color::{Colors, Tone};
use crate::decode::escaped;
use crate::exit::Outcome;
use crate::units::{bytes, time};

/// Where there are more segments than rows, several share one.
const ROWS_MAX: usize = 40;
/// Beside the cells: the segment's number, state and fill, and when it was made or sealed.
const LEFT: usize = 9 + 1 + 8 + 1 + 4 + 2;
const RIGHT: usize = 2 + 24;
/// A terminal that is narrower is not told the times.
const WIDE: usize = 80;

/// How the segments lie in the rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    width: usize,
    /// Cells of a row.
    columns: usize,
    rows_per_slot: usize,
    slots_per_row: usize,
}

impl Layout {
    pub(super) fn new(width: usize, rows: u16, slots: usize) -> Self {
        let right = if width >= WIDE { RIGHT } else { 0 };
        let columns = width.saturating_sub(LEFT + right).max(8);
        let slots_per_row = slots.div_ceil(ROWS_MAX).next_power_of_two();
        let rows_per_slot = if slots_per_row == 1 { usize::from(rows) } else { 1 };
        Self { width, columns, rows_per_slot, slots_per_row }
    }

    /// Into how many cells a segment is cut.
    pub(super) fn cells(self) -> usize {
        (self.columns * self.rows_per_slot / self.slots_per_row).max(1)
    }

    /// How many segments share a cell.
    fn slots_per_cell(self) -> usize {
        self.slots_per_row.div_ceil(self.columns)
    }

    /// Columns of a row that is full: segments may not fill them evenly.
    fn row_columns(self) -> usize {
        self.columns.min((self.slots_per_row * self.cells()).div_ceil(self.slots_per_cell()))
    }
}

const fn glyph(kind: Kind) -> char {
    match kind {
        Kind::Record | Kind::Written => '█',
        Kind::Batch => '▓',
        Kind::Padding => '▒',
        Kind::Unwritten => '·',
        Kind::Retired => '-',
        Kind::Unpublished => '?',
        Kind::Torn => '~',
        Kind::Missing => '!',
        Kind::Damaged => 'X',
    }
}

const fn tone(kind: Kind) -> Option<Tone> {
    match kind {
        Kind::Damaged | Kind::Missing => Some(Tone::Bad),
        Kind::Torn | Kind::Unpublished => Some(Tone::Doubtful),
        _ => None,
    }
}

pub(super) fn draw(survey: &Survey, layout: Layout, colors: Colors) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}: {}", escaped(survey.directory.as_bytes()), survey.summary());
    let _ = writeln!(text);
    header(&mut text, layout);
    for (index, row) in survey.slots.chunks(layout.slots_per_row).enumerate() {
        let cells = cells(row, layout);
        for (part, line) in cells.chunks(layout.columns).enumerate() {
            let (left, right) =
                if part == 0 { (label(row), since(row)) } else { (String::new(), String::new()) };
            let right =
                if layout.width >= WIDE && !right.is_empty() { format!("  {right}") } else { String::new() };
            let columns = layout.row_columns();
            let cells = painted(line, colors) + &" ".repeat(columns.saturating_sub(line.len()));
            let _ = writeln!(text, "{}", format!("{left:<LEFT$}{cells}{right}").trim_end());
            let flags = flags(survey, layout, index, part, cells_of(row, layout));
            if !flags.is_empty() {
                let _ = writeln!(text, "{:LEFT$}{flags}", "");
            }
        }
    }
    let _ = writeln!(text);
    legend(&mut text, survey, layout, colors);
    marks(&mut text, survey);
    totals(&mut text, survey);
    problems(&mut text, survey, colors);
    text
}

fn header(text: &mut String, layout: Layout) {
    let title = match layout.slots_per_row {
        1 => format!("{:>9} {:<8} {:>4}  ", "SEGMENT", "STATE", "FILL"),
        _ => format!("{:>9} {:<8} {:>4}  ", "FROM", "SEGMENTS", "FILL"),
    };
    let right = if layout.width >= WIDE { "MADE, OR SEALED" } else { "" };
    let columns = layout.row_columns();
    let _ = writeln!(text, "{}", format!("{title}{:columns$}  {right}", "").trim_end());
}

fn label(row: &[Slot]) -> String {
    let mut share = Share::default();
    row.iter().for_each(|slot| share.add(&slot.share()));
    let fill = share.filled() as f64 * 100.0 / share.total().max(1) as f64;
    // Full is full, and empty empty.
    let fill = if fill > 0.0 && fill < 100.0 { fill.clamp(1.0, 99.0) } else { fill };
    let what = match row {
        [only] => only.state().to_owned(),
        many => many.len().to_string(),
    };
    let number = row.first().map_or(0, |slot| slot.number);
    format!("{number:>9} {what:<8} {fill:>3.0}%  ")
}

/// When the first segment of the row was sealed, or else made.
fn since(row: &[Slot]) -> String {
    match row {
        [only] if only.segments > 1 => format!("{} segments", only.segments),
        _ => row.iter().find_map(Slot::since).map(|(_, at)| time(at)).unwrap_or_default(),
    }
}

/// The cells of the segments of a row.
fn cells(row: &[Slot], layout: Layout) -> Vec<Share> {
    let all: Vec<&Share> = row.iter().flat_map(|slot| &slot.cells).collect();
    let together = all.chunks(layout.slots_per_cell()).map(|cells| {
        let mut share = Share::default();
        cells.iter().for_each(|cell| share.add(cell));
        share
    });
    together.collect()
}

fn cells_of(row: &[Slot], layout: Layout) -> usize {
    (row.len() * layout.cells()).div_ceil(layout.slots_per_cell())
}

fn painted(cells: &[Share], colors: Colors) -> String {
    let mut text = String::new();
    for run in cells.chunk_by(|a, b| a.shows() == b.shows()) {
        let kind = run[0].shows();
        let glyphs: String = std::iter::repeat_n(glyph(kind), run.len()).collect();
        text += &tone(kind).map_or(glyphs.clone(), |tone| colors.paint(tone, &glyphs));
    }
    text
}

/// The line below the cells that says where the marks are. Marks that lie too close follow one another.
fn flags(survey: &Survey, layout: Layout, row: usize, part: usize, cells: usize) -> String {
    let mut here: Vec<(usize, &str)> = Vec::new();
    for mark in &survey.marks {
        let Some(index) = survey.place(mark.lsn) else { continue };
        if index / layout.slots_per_row != row {
            continue;
        }
        let slot = &survey.slots[index];
        let within = u128::from(mark.lsn - slot.base) * layout.cells() as u128
            / u128::from((slot.end - slot.base).max(1));
        let cell = (index % layout.slots_per_row) * layout.cells() + within as usize;
        let cell = (cell / layout.slots_per_cell()).min(cells.saturating_sub(1));
        if cell / layout.columns == part {
            here.push((cell % layout.columns, &mark.flag));
        }
    }
    here.sort_by_key(|(column, _)| *column);
    let mut line = String::new();
    let mut last = usize::MAX;
    for (column, flag) in here {
        let at = line.chars().count();
        if column == last {
            line.push(',');
        } else if column <= at && at > 0 {
            // It would not stand where it is: said beside the one before.
            line.push(' ');
            line.push('^');
        } else {
            line.extend(std::iter::repeat_n(' ', column - at));
            line.push('^');
        }
        line += flag;
        last = column;
    }
    // A line for each follows below the picture.
    if line.chars().count() > layout.columns {
        line = line.chars().take(layout.columns - 1).collect::<String>() + "…";
    }
    line
}

fn legend(text: &mut String, survey: &Survey, layout: Layout, colors: Colors) {
    let mut line = String::new();
    for kind in Kind::ALL.into_iter().filter(|kind| survey.total.of(*kind) > 0) {
        let glyph = glyph(kind).to_string();
        let glyph = tone(kind).map_or(glyph.clone(), |tone| colors.paint(tone, &glyph));
        let _ = write!(line, "{glyph} {}   ", kind.word());
    }
    let cell = survey.segment_bytes * layout.slots_per_cell() as u64 / layout.cells() as u64;
    let _ = writeln!(text, "{line}a cell is {}", bytes(cell));
}

fn marks(text: &mut String, survey: &Survey) {
    for mark in &survey.marks {
        let lag = mark.lag.map_or(String::new(), |(lag, gate)| {
            format!(", {} behind{}", bytes(lag), if gate { ", gates retirement" } else { "" })
        });
        let name = if mark.lag.is_some() { format!("cursor {}", mark.name) } else { mark.name.clone() };
        let _ = writeln!(text, "^{:<2} {name}: LSN {}{lag}", mark.flag, mark.lsn);
    }
    for (name, error) in &survey.broken_cursors {
        let _ = writeln!(text, "    cursor {name}: {}", escaped(error.as_bytes()));
    }
}

fn totals(text: &mut String, survey: &Survey) {
    let _ = writeln!(text);
    for (what, much, of) in survey.figures() {
        let _ = writeln!(text, "{}", format!("{what:<12} {much:>10}  {of}").trim_end());
    }
}

fn problems(text: &mut String, survey: &Survey, colors: Colors) {
    let (told, more) = survey.told();
    for problem in told {
        let tone = if problem.outcome == Outcome::TornTail { Tone::Doubtful } else { Tone::Bad };
        let _ = writeln!(
            text,
            "\n{}: {}",
            colors.paint(tone, problem.outcome.word()),
            escaped(problem.message.as_bytes())
        );
        if let (Some(from), Some(to)) = (problem.lsn, problem.lost_to) {
            let _ = writeln!(text, "    lost: LSN {from} to {to}");
        }
    }
    if more > 0 {
        let _ = writeln!(text, "\nand {more} more places; verify lists them all");
    }
}
