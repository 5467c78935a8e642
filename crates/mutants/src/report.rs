//! What became of the mutants.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::Outcome;
use crate::table::Mutant;

/// Prints each verdict when it is known, and counts.
#[derive(Debug, Default)]
pub struct Report(Mutex<Tally>);

/// The counts.
#[derive(Debug, Default)]
pub struct Tally {
    pub caught: usize,
    pub survived: Vec<&'static str>,
    pub errors: Vec<&'static str>,
    /// Tests that pass without a mutant.
    pub sound: usize,
}

impl Report {
    /// A mutant's test failed with these first words, or it passed, or there is no verdict.
    pub fn note(&self, mutant: &'static Mutant, how: &str, began: Instant, verdict: Outcome<Option<String>>) {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (word, more) = match verdict {
            Ok(Some(words)) => {
                tally.caught += 1;
                ("caught", format!("          {words}"))
            }
            Ok(None) => {
                tally.survived.push(mutant.name);
                ("SURVIVED", String::new())
            }
            Err(error) => {
                tally.errors.push(mutant.name);
                ("ERROR", error)
            }
        };
        let seconds = began.elapsed().as_secs_f64();
        println!("{word:9} {:42} {seconds:6.1} s {how:5}  {}\n{more}", mutant.name, mutant.rule);
    }

    /// What a test came to without a mutant. One that fails proves nothing with one.
    pub fn note_without_mutant(
        &self,
        (target, test): (&'static str, &'static str),
        verdict: Outcome<Option<String>>,
    ) -> bool {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let words = match verdict {
            Ok(None) => {
                tally.sound += 1;
                return true;
            }
            Ok(Some(words)) => format!("it fails without a mutant: {words}"),
            Err(error) => error,
        };
        tally.errors.push(test);
        println!("{:9} {target}::{test}\n          {words}", "ERROR");
        false
    }

    pub fn into_tally(self) -> Tally {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
