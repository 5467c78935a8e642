//! A process is run one instruction at a time, and after every instruction that changed a file of the log a copy is
//! recovered, as if it had been killed there (G1 to G3, G6).
//!
//! `TIDELOG_THOROUGH=1` steps longer scripts. `TIDELOG_SEED` repeats a run's random choices.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(
    clippy::disallowed_types,
    reason = "the rule is for the library, which the model checker looks into"
)]

#[path = "../support/mod.rs"]
mod support;

mod child;
mod driver;
mod image;
mod oracle;
mod script;
mod tracee;
mod turns;

use driver::Tally;
use script::scenario;
use support::{role, seed, skip};

/// Plays a scenario under its parent's eyes.
#[test]
fn child_plays() {
    let Some(role) = role() else { return };
    let words: Vec<&str> = role.split('|').collect();
    let [name, immediate, crc64, thorough, directory] = words[..] else { panic!("role {role}") };
    let scenario = scenario(name, immediate == "1", crc64 == "1", thorough == "1");
    child::play(&scenario, std::path::Path::new(directory));
}

/// A policy, `None` or `Immediate`, and a checksum.
#[derive(Clone, Copy)]
struct Way {
    immediate: bool,
    crc64: bool,
}

const ALL: &[Way] = &[
    Way { immediate: false, crc64: false },
    Way { immediate: false, crc64: true },
    Way { immediate: true, crc64: false },
    Way { immediate: true, crc64: true },
];
const TWO: &[Way] = &[ALL[0], ALL[3]];
/// Under the policies that wait nothing behind an open claim returns.
const NONE: &[Way] = &[ALL[0], ALL[1]];

/// Steps the script of that name through, in each of `ways`.
fn step(test: &str, name: &str, ways: &[Way]) {
    if role().is_some() || skip(test, tracee::lacks_ptrace()) {
        return;
    }
    let thorough = std::env::var("TIDELOG_THOROUGH").as_deref() == Ok("1");
    let seed = seed(test);
    let began = std::time::Instant::now();
    let mut tally = Tally::default();
    for Way { immediate, crc64 } in ways.iter().copied() {
        let role = format!("{name}|{}|{}|{}", u8::from(immediate), u8::from(crc64), u8::from(thorough));
        tally += driver::run(&scenario(name, immediate, crc64, thorough), "child_plays", &role, seed);
    }
    let seen = tally.seen;
    println!(
        "{name}: {} operations, {} instructions stepped, {} of them changed the files ({} more iterations of string instructions did), {} copies recovered with {} \
         records; what had not returned was there as a whole {} times and absent {} times; {} holes skipped, {} \
         tails cut, in {:.1?}",
        tally.operations,
        tally.instructions,
        tally.changes - tally.passed_over,
        tally.passed_over,
        seen.recovered,
        seen.records,
        seen.whole,
        seen.absent,
        seen.holes,
        seen.truncated,
        began.elapsed()
    );
    assert!(seen.recovered + tally.passed_over >= tally.changes + 2 * tally.operations);
    assert!(tally.changes > tally.operations && seen.absent > 0);
}

#[test]
fn an_append_can_be_cut_short_at_every_instruction() {
    step("an_append_can_be_cut_short_at_every_instruction", "append", ALL);
}

#[test]
fn an_append_in_place_can_be_cut_short_at_every_instruction() {
    step("an_append_in_place_can_be_cut_short_at_every_instruction", "append_with", ALL);
}

#[test]
fn a_batch_can_be_cut_short_at_every_instruction() {
    step("a_batch_can_be_cut_short_at_every_instruction", "batch", ALL);
}

#[test]
fn an_aborted_claim_can_be_cut_short_at_every_instruction() {
    step("an_aborted_claim_can_be_cut_short_at_every_instruction", "abort", ALL);
}

#[test]
fn a_roll_can_be_cut_short_at_every_instruction() {
    step("a_roll_can_be_cut_short_at_every_instruction", "roll", TWO);
}

#[test]
fn a_sync_can_be_cut_short_at_every_instruction() {
    step("a_sync_can_be_cut_short_at_every_instruction", "sync", ALL);
}

/// Appends that return are kept whatever claim before them is open, at whatever instruction its writer stands still.
#[test]
fn what_returned_behind_an_open_claim_is_kept_at_every_instruction() {
    step("what_returned_behind_an_open_claim_is_kept_at_every_instruction", "hole", NONE);
}

/// The keeper prepares and marks segments while a writer rolls.
#[test]
fn the_keeper_can_be_cut_short_at_every_instruction() {
    step("the_keeper_can_be_cut_short_at_every_instruction", "keeper", TWO);
}
