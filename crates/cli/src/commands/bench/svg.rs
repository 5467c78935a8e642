//! The figures as one picture: bars for what was appended, and below them how the times were distributed.

use super::Measured;
use super::latency::{Axis, Latency, short};
use super::report::{count, height};
use crate::picture::svg::{Drawing, MARGIN, wrapped};
use crate::units::bytes;

/// Where bars and axis begin, and how long they are.
const LEFT: f64 = 190.0;
const LONGEST: f64 = 480.0;
const BAR: f64 = 14.0;
const STEP: f64 = 20.0;
/// A histogram is so high, and has so many bars to each decade.
const HIGH: f64 = 18.0;
const ROW: f64 = 24.0;
const PARTS: usize = 12;

const STYLE: &str = "\
.append { fill: #0a7ea4; } .sync { fill: #6f9a5b; } .half { stroke: #24292f; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  .append { fill: #2fb3dd; } .half { stroke: #ffffff; }
}
";

pub(super) fn draw(measured: &Measured) -> String {
    let title = format!("tidelog bench: {}", measured.directory);
    let mut drawing = Drawing::new(&title, &measured.about());
    for line in wrapped(&measured.remarks(), 140) {
        drawing.text("small", MARGIN, &line);
        drawing.y += 14.0;
    }
    drawing.y += 14.0;
    rates(&mut drawing, measured);
    times(&mut drawing, measured);
    drawing.finish(&title, STYLE, "")
}

/// A panel for each policy. What waits for the disk is a thousandth of what does not, so each has a scale of its own.
fn rates(drawing: &mut Drawing, measured: &Measured) {
    for panel in measured.appends.chunk_by(|a, b| a.work.policy == b.work.policy) {
        let policy = panel[0].work.policy_word();
        let greatest =
            panel.iter().map(|append| append.records_per_second()).fold(f64::MIN_POSITIVE, f64::max);
        drawing.text("panel", MARGIN, &format!("{policy}: records a second"));
        drawing.y += 10.0;
        for append in panel {
            let rate = append.records_per_second();
            let length = (rate / greatest * LONGEST).max(1.0);
            let label = name(append.work.record_bytes, append.work.threads);
            let value = format!("{} ({}/s)", count(rate), bytes(append.bytes_per_second() as u64));
            let middle = drawing.y + BAR - 3.0;
            drawing.text_at("small right", LEFT - 8.0, middle, &label);
            drawing.rect("append", [LEFT, drawing.y, length, BAR], &format!("{policy}, {label}\n{value}"));
            drawing.text_at("small", LEFT + length + 8.0, middle, &value);
            drawing.y += STEP;
        }
        drawing.y += 26.0;
    }
}

fn name(record_bytes: u64, threads: usize) -> String {
    format!("{}, {threads} thread{}", bytes(record_bytes), if threads == 1 { "" } else { "s" })
}

fn times(drawing: &mut Drawing, measured: &Measured) {
    let axis = measured.axis();
    drawing.text("panel", MARGIN, "How long each took: counts on a log scale; the line is the median");
    drawing.y += 24.0;
    let top = drawing.y;
    scale(drawing, axis, top);
    drawing.y += 10.0;
    for sync in &measured.syncs {
        histogram(drawing, axis, "sync", sync.name, &sync.latency);
    }
    for append in &measured.appends {
        let label =
            format!("{} {}", append.work.policy_word(), name(append.work.record_bytes, append.work.threads));
        histogram(drawing, axis, "append", &label, &append.latency);
    }
    for decade in 0..=axis.decades() {
        let x = LEFT + LONGEST * decade as f64 / axis.decades() as f64;
        drawing.line("axis", [x, top + 6.0, x, drawing.y], "");
    }
    drawing.y += 14.0;
    let bottom = drawing.y;
    scale(drawing, axis, bottom);
    drawing.y += 12.0;
}

fn scale(drawing: &mut Drawing, axis: Axis, y: f64) {
    for decade in 0..=axis.decades() {
        let x = LEFT + LONGEST * decade as f64 / axis.decades() as f64;
        drawing.text_at("tiny middle", x, y, &power(axis.from + decade as u32));
    }
}

/// `10 ns`, `100 µs`: powers of ten, without the digits of other times.
fn power(exponent: u32) -> String {
    let unit = ["ns", "µs", "ms", "s"][(exponent as usize / 3).min(3)];
    format!("{} {unit}", 10_u64.pow(exponent - (exponent / 3).min(3) * 3))
}

fn histogram(drawing: &mut Drawing, axis: Axis, class: &str, label: &str, latency: &Latency) {
    let spread = latency.spread(axis, PARTS);
    let most = spread.iter().copied().max().unwrap_or(1);
    let width = LONGEST / spread.len() as f64;
    let bottom = drawing.y + HIGH;
    let bars: Vec<[f64; 4]> = (0..spread.len())
        .filter(|part| spread[*part] > 0)
        .map(|part| {
            let high = (height(spread[part], most) * HIGH).max(1.0);
            [LEFT + part as f64 * width, bottom - high, (width - 0.6).max(0.6), high]
        })
        .collect();
    let [half, most_of_all, last] = [0.5, 0.99, 1.0].map(|share| short(latency.quantile(share)));
    let hint = format!("{label}: {} times\np50 {half}\np99 {most_of_all}\nmax {last}", latency.count());
    drawing.text_at("small right", LEFT - 8.0, bottom - 4.0, label);
    drawing.rects(class, &bars, &hint);
    let median = (latency.quantile(0.5).max(1) as f64).log10() - f64::from(axis.from);
    let x = LEFT + LONGEST * (median / axis.decades() as f64).clamp(0.0, 1.0);
    drawing.line("half", [x, bottom - HIGH - 1.0, x, bottom + 1.0], "");
    drawing.text_at("small", LEFT + LONGEST + 10.0, bottom - 4.0, &format!("p50 {half}, p99 {most_of_all}"));
    drawing.y += ROW;
}
