//! The threads that change the log: writers that mix every way of appending, and one that syncs and retires.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use tidelog::{Error, ErrorKind, Lsn};

use crate::records::{Random, fill, payload};
use crate::{Round, SEGMENT_BYTES, count};

/// What a closure of `append_with` panics with.
pub(crate) const MEANT: &str = "meant";

/// The segments that a retirement leaves.
const KEPT: u64 = 6;

/// A record of a writer: where it stands, its number, its size.
pub(crate) type Returned = (Lsn, u64, usize);

/// Appends until the log is closed; returns what was appended.
pub(crate) fn write(round: &Round, seed: u64, writer: u64) -> Vec<Returned> {
    let mut random = Random::new(seed, writer);
    let mut all: Vec<Returned> = Vec::new();
    loop {
        let before = all.len();
        let number = (writer + 1) << 48 | all.len() as u64;
        if let Err(error) = append(round, &mut random, number, &mut all) {
            assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
            count(&round.tally.refused);
            return all;
        }
        round.tally.records.fetch_add((all.len() - before) as u64, Ordering::Relaxed);
        let Some((lsn, ..)) = all.last() else { continue };
        if random.below(64) == 0
            && let Ok(mut known) = round.known.try_lock()
        {
            known.push(*lsn);
        }
    }
}

/// One call of one kind.
fn append(round: &Round, random: &mut Random, number: u64, all: &mut Vec<Returned>) -> Result<(), Error> {
    let log = &round.log;
    let len = match random.below(40) {
        0 => log.record_bytes_max(),
        1..=3 => 0,
        _ => 8 + random.below(900) as usize,
    };
    // Without room for a number there is only one content.
    let number = if len == 0 { 0 } else { number };
    let lsn = match random.below(10) {
        0..=2 => log.append(&payload(number, len))?,
        3..=5 => log.append_nowait(&payload(number, len))?,
        6 => log.append_with(len, |buffer| fill(buffer, number))?,
        7 => {
            let panicking = || log.append_with(len, |buffer| panic_in(buffer, number));
            let outcome = catch_unwind(AssertUnwindSafe(panicking));
            return match outcome {
                Err(_) => {
                    count(&round.tally.panics);
                    Ok(())
                }
                Ok(refused) => refused.map(|lsn| unreachable!("the closure panics before {lsn} is returned")),
            };
        }
        8 => {
            let lens: Vec<_> = (0..1 + random.below(6)).map(|_| 8 + random.below(300) as usize).collect();
            let records =
                lens.iter().enumerate().map(|(index, len)| payload(number | (index as u64) << 32, *len));
            let records: Vec<_> = records.collect();
            for (index, lsn) in log.append_batch(&records)?.enumerate() {
                all.push((lsn, number | (index as u64) << 32, lens[index]));
            }
            count(&round.tally.batches);
            return Ok(());
        }
        _ => {
            let lsn = log.append_nowait(&payload(number, len))?;
            all.push((lsn, number, len));
            log.wait_durable(lsn)?;
            count(&round.tally.durable_waits);
            return Ok(());
        }
    };
    all.push((lsn, number, len));
    Ok(())
}

fn panic_in(buffer: &mut [u8], number: u64) {
    let half = buffer.len() / 2;
    fill(&mut buffer[..half], number);
    std::panic::panic_any(MEANT);
}

/// Syncs, and retires all but the newest segments, again and again.
pub(crate) fn retire(round: &Round, seed: u64) {
    let mut random = Random::new(seed, 100);
    while !round.over.load(Ordering::Relaxed) {
        if random.below(2) == 0 {
            round.log.sync().expect("syncing works, on a closed log too");
            count(&round.tally.syncs);
        }
        let claimed = round.log.watermarks().claimed.get();
        let before = Lsn::new(claimed.saturating_sub(KEPT * SEGMENT_BYTES));
        match round.log.retire_before(before) {
            Ok(start) if start > Lsn::ZERO => count(&round.tally.retirements),
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::Closed, "{error}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(random.below(4)));
    }
}
