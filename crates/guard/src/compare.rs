//! The verdict.

use crate::accepted::Accepted;
use crate::callgrind::Counts;

/// One operation, before and after.
#[derive(Debug)]
pub struct Row {
    operation: String,
    /// `None` where the base does not have it.
    before: Option<f64>,
    after: f64,
    /// How far the runs of one tree lie apart at most, as a share.
    noise: f64,
}

impl Row {
    /// By how much it grew, in percent; noise aside.
    fn growth(&self) -> f64 {
        self.before.map_or(0.0, |before| (self.after / before - 1.0) * 100.0)
    }
}

/// The fewest instructions of several runs, and how far they lie apart.
fn fewest(runs: &[Counts], operation: &str) -> Option<(f64, f64)> {
    let counts = || runs.iter().filter_map(|run| run.iter().find(|(name, _)| name == operation));
    let least = counts().map(|(_, count)| *count).reduce(f64::min)?;
    let most = counts().map(|(_, count)| *count).reduce(f64::max)?;
    Some((least, most / least - 1.0))
}

/// The operations in their order.
pub fn rows(before: &[Counts], after: &[Counts]) -> Result<Vec<Row>, String> {
    let first = after.first().ok_or("nothing was counted")?;
    let row = |operation: &String| {
        let (after, noise) = fewest(after, operation)?;
        let before = fewest(before, operation);
        let noise = noise.max(before.map_or(0.0, |(_, noise)| noise));
        Some(Row { operation: operation.clone(), before: before.map(|(count, _)| count), after, noise })
    };
    let rows: Vec<Row> = first.iter().filter_map(|(operation, _)| row(operation)).collect();
    if rows.is_empty() { Err("nothing was counted".into()) } else { Ok(rows) }
}

/// Prints the table; true when nothing grew that may not.
pub fn report(rows: &[Row], accepted: &Accepted, limit_percent: f64) -> bool {
    println!("{:28} {:>10} {:>10} {:>8} {:>8}", "instructions", "before", "after", "ratio", "noise");
    let mut grown = Vec::new();
    for row in rows {
        let before = row.before.map_or("-".to_owned(), |count| format!("{count:.1}"));
        let verdict = match row.growth() {
            growth if growth <= limit_percent => "",
            _ if accepted.allows(&row.operation, row.after) => "grew, accepted",
            _ => {
                grown.push(row.operation.as_str());
                "GREW"
            }
        };
        let ratio = row.before.map_or("-".to_owned(), |before| format!("{:.3}", row.after / before));
        let noise = row.noise * 100.0;
        println!(
            "{:28} {before:>10} {:>10.1} {ratio:>8} {noise:>6.2} %  {verdict}",
            row.operation, row.after
        );
    }
    if grown.is_empty() {
        println!("guard: nothing takes over {limit_percent} % more instructions");
    } else {
        println!(
            "guard: FAILED: over {limit_percent} % more instructions: {}. If that is worth it, say so in \
             crates/guard/accepted.txt",
            grown.join(", ")
        );
    }
    grown.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(counts: &[f64]) -> Vec<Counts> {
        counts.iter().map(|count| vec![("append".to_owned(), *count)]).collect()
    }

    #[test]
    fn growth_over_the_limit_fails() {
        let accepted = Accepted::parse("append | 110 | tried").unwrap();
        let none = Accepted::parse("").unwrap();
        for (before, after, passes, passes_accepted) in [
            (100.0, 105.0, true, true),
            (100.0, 106.0, false, true),
            (100.0, 111.0, false, false),
            (100.0, 50.0, true, true),
        ] {
            let rows = rows(&runs(&[before, before + 1.0]), &runs(&[after + 1.0, after])).unwrap();
            assert_eq!(report(&rows, &none, 5.0), passes, "{before} {after}");
            assert_eq!(report(&rows, &accepted, 5.0), passes_accepted, "{before} {after}");
        }
    }

    #[test]
    fn a_new_operation_has_nothing_to_be_compared_with() {
        let rows = rows(&[Vec::new(), Vec::new()], &runs(&[7.0, 7.0])).unwrap();
        assert!(report(&rows, &Accepted::parse("").unwrap(), 5.0));
        assert!(super::rows(&[], &[]).is_err());
    }
}
