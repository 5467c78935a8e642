//! What the runs saw, added up.

use std::collections::BTreeMap;
use std::fmt;

use tidelog::Error;

/// Counts; children print them and the parent adds them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) cases: u64,
    pub(crate) appended: u64,
    pub(crate) verified: u64,
    pub(crate) signals: u64,
    /// By kind.
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Figures {
    pub(crate) fn saw(&mut self, error: &Error) {
        *self.errors.entry(format!("{:?}", error.kind())).or_default() += 1;
    }

    pub(crate) fn print(&self) {
        let errors: Vec<String> = self.errors.iter().map(|(kind, count)| format!("{kind}={count}")).collect();
        println!("\nfigures {} {} {}", self.appended, self.verified, errors.join(" "));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.cases += other.cases;
        self.appended += other.appended;
        self.verified += other.verified;
        self.signals += other.signals;
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
    }

    /// Adds what children said.
    pub(crate) fn add(&mut self, said: &str) {
        for line in said.lines().filter_map(|line| line.strip_prefix("figures ")) {
            let mut words = line.split_whitespace();
            self.appended += words.next().unwrap().parse::<u64>().unwrap();
            self.verified += words.next().unwrap().parse::<u64>().unwrap();
            for (kind, count) in words.filter_map(|word| word.split_once('=')) {
                *self.errors.entry(kind.to_owned()).or_default() += count.parse::<u64>().unwrap();
            }
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cases, {} appends acknowledged, {} records verified, {} SIGBUS, errors {:?}",
            self.cases, self.appended, self.verified, self.signals, self.errors
        )
    }
}
