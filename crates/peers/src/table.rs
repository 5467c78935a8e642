//! The results as text.

use crate::log::Promise;
use crate::logs::Role;
use crate::results::{Report, Row, Section, promises_as_much};
use crate::stats::Spread;
use crate::work::{Kind, Outcome};

pub fn head(report: &Report) {
    let machine = &report.machine;
    println!(
        "{}, {} cores, Linux {}, {} on {}{}; the clock costs {:.0} ns",
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.file_system,
        machine.device.as_deref().unwrap_or("no device"),
        machine.write_cache.as_ref().map_or(String::new(), |cache| format!(", {cache}")),
        machine.clock_nanos,
    );
    if machine.in_memory() {
        println!("The directory is in memory: nothing below says anything about durable appends.");
    }
    let rounds = if report.rounds == 1 { "1 round".into() } else { format!("{} rounds", report.rounds) };
    println!("{rounds} of {} s; medians (least to greatest)", report.seconds);
}

pub fn verified(report: &Report) {
    println!("\nread back, each mode from four threads:");
    for verified in &report.verified {
        let text = match &verified.outcome {
            Outcome::Measured(measured) => format!("{} records, all as they were appended", measured.records),
            Outcome::Unable(why) => why.clone(),
            Outcome::Failed(why) => format!("FAILED: {why}"),
        };
        println!("  {:<14} {text}", verified.log);
    }
}

pub fn targets(report: &Report) {
    if report.targets.is_empty() {
        return;
    }
    println!("\ntargets");
    let mut grid = Grid { heads: 0, rows: Vec::new() };
    for target in &report.targets {
        let met = match target.met {
            Some(true) => "met",
            Some(false) => "not met",
            None => "not measured",
        };
        let cells = [&target.row, &target.of, &target.measured, &target.wanted];
        grid.rows.push(cells.into_iter().cloned().chain([met.to_owned()]).collect());
    }
    grid.print();
    let met = report.targets.iter().filter(|target| target.met == Some(true)).count();
    println!("  {met} of {} met", report.targets.len());
}

/// A table's cells, with the columns as wide as they need to be.
struct Grid {
    /// The first of the rows are headings.
    heads: usize,
    rows: Vec<Vec<String>>,
}

impl Grid {
    fn print(&self) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let shown: Vec<(usize, usize)> = (0..columns)
            .filter(|column| self.tells(*column))
            .map(|column| (column, self.width(column)))
            .collect();
        for row in &self.rows {
            let cell = |&(column, width): &(usize, usize)| {
                let cell = row.get(column).map_or("", String::as_str);
                if column < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            };
            let cells: Vec<String> = shown.iter().map(cell).collect();
            println!("  {}", cells.join("  ").trim_end());
        }
    }

    /// What was not measured needs no column.
    fn tells(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().skip(self.heads).filter_map(|row| row.get(column));
        column == 0 || cells.any(|cell| !matches!(cell.as_str(), "" | "-" | "n/a"))
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

pub fn section(report: &Report, section: &Section) {
    let subject = section.rows.iter().find(|row| row.role == Role::Subject);
    let unit = match section.work.kind {
        Kind::Open => "opened in, ms",
        _ => "records/s",
    };
    println!("\n{} ({:.0} s)", section.name, section.took);
    let mut grid = Grid { heads: 1, rows: vec![header(section, unit)] };
    for row in section.rows.iter().filter(|row| !row.over()) {
        grid.rows.push(cells(report, section, subject, row));
    }
    grid.print();
    for row in section.rows.iter().filter(|row| row.failed.is_some()) {
        println!("  {}: FAILED: {}", row.name, row.failed.as_deref().unwrap_or(""));
    }
    let unable: Vec<String> = section
        .rows
        .iter()
        .filter_map(|row| Some(format!("{} ({})", row.log, row.unable.as_ref()?)))
        .collect();
    if !unable.is_empty() {
        println!("  not: {}", unable.join(", "));
    }
}

fn header(section: &Section, unit: &str) -> Vec<String> {
    let mut cells = vec!["", "at return", unit, "", "tidelog is"];
    match section.work.kind {
        Kind::Open => {}
        Kind::Replay => {
            cells[1] = "verified";
            cells.push("GiB/s");
        }
        Kind::Follow => cells.extend(["seen after p50", "p99", "p99.9", "max"]),
        _ => cells.extend([
            "p50",
            "p99",
            "p99.9",
            "max",
            "syncs/rec",
            "flushes/rec",
            "KiB/rec",
            "caused",
            "faults/rec",
            "calls/rec",
        ]),
    }
    cells.into_iter().map(String::from).collect()
}

fn cells(report: &Report, section: &Section, subject: Option<&Row>, row: &Row) -> Vec<String> {
    let kind = section.work.kind;
    let spread =
        if kind == Kind::Open { row.seconds().map(|seconds| scale(seconds, 1e3)) } else { row.rate() };
    let (middle, range) = spread.map_or_else(Default::default, |spread| {
        let show = if kind == Kind::Open { plain } else { count };
        let range = format!("({} to {})", show(spread.min), show(spread.max));
        (show(spread.median), if spread.min == spread.max { String::new() } else { range })
    });
    let mark = if report.failed_to_verify(&row.log) { " [not verified]" } else { "" };
    let mut cells =
        vec![format!("{}{mark}", row.name), second(kind, row), middle, range, ratio(section, subject, row)];
    if let (Kind::Replay, Some(rate)) = (kind, row.rate()) {
        cells.push(format!("{:.2}", rate.median * section.work.record_bytes as f64 / f64::from(1 << 30)));
    }
    if matches!(kind, Kind::Replay | Kind::Open) {
        return cells;
    }
    match row.latency() {
        Some(latency) => {
            cells.extend(
                [latency.p50, latency.p99, latency.p999, latency.max].map(|value| time(value as f64)),
            );
        }
        None => cells.extend(vec!["-".to_owned(); 4]),
    }
    if kind == Kind::Follow {
        return cells;
    }
    let each = row.per_record().unwrap_or_default();
    let observed = row.observed.as_ref();
    let maybe = |value: Option<f64>| value.map_or("n/a".into(), small);
    cells.extend([
        maybe(observed.and_then(|observed| observed.syncs)),
        small(each.flushes),
        small(each.kib_device),
        small(each.kib_caused),
        small(each.faults),
        maybe(observed.and_then(|observed| observed.calls)),
    ]);
    cells
}

fn second(kind: Kind, row: &Row) -> String {
    match kind {
        Kind::Replay => if row.verifies { "yes" } else { "no" }.into(),
        Kind::Open | Kind::Follow => String::new(),
        _ => match row.promise() {
            Some(Promise::Process) => "in process *".into(),
            Some(Promise::Kernel) => "in kernel".into(),
            Some(Promise::Durable) => "durable".into(),
            None => "-".into(),
        },
    }
}

/// How many times as good the subject is; in brackets where the other promises less.
fn ratio(section: &Section, subject: Option<&Row>, row: &Row) -> String {
    let Some(subject) = subject else { return String::new() };
    if row.role == Role::Subject {
        return String::new();
    }
    let Some((mine, others)) = subject.score(&section.work).zip(row.score(&section.work)) else {
        return String::new();
    };
    let times = format!("{:.2} x", mine / others);
    if promises_as_much(row, subject) { times } else { format!("({times})") }
}

fn scale(spread: Spread, factor: f64) -> Spread {
    Spread { median: spread.median * factor, min: spread.min * factor, max: spread.max * factor }
}

/// Three digits or so.
pub fn plain(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

pub fn count(value: f64) -> String {
    match value {
        1e6.. => format!("{} M", plain(value / 1e6)),
        1e3..1e6 => format!("{} k", plain(value / 1e3)),
        _ => plain(value),
    }
}

fn time(nanos: f64) -> String {
    match nanos {
        1e6.. => format!("{} ms", plain(nanos / 1e6)),
        1e3..1e6 => format!("{} us", plain(nanos / 1e3)),
        _ => format!("{nanos:.0} ns"),
    }
}

fn small(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        ..0.0001 => "< 0.0001".into(),
        0.0001..0.1 => format!("{value:.4}"),
        _ => plain(value),
    }
}
