//! What a sync costs on this disk, without a log.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use memmap2::MmapMut;

use super::latency::Latency;
use super::place::Place;
use super::plan::Plan;
use crate::exit::Fail;

/// What is written for each sync, one place after the other.
const PAGE: usize = 4096;
/// The file is written and synced before, so that no sync has to note new blocks.
const FILE_BYTES: u64 = 4 << 20;

/// A way to sync, and how long it took.
#[derive(Debug)]
pub(super) struct Sync {
    pub(super) name: &'static str,
    pub(super) latency: Latency,
    pub(super) seconds: f64,
}

/// A page written with `pwrite`, and `fdatasync`.
pub(super) fn file(place: &Place, plan: &Plan) -> Result<Sync, Fail> {
    let file = prepare(place, plan).map_err(failed)?;
    let page = [0x5a; PAGE];
    again_and_again("write, fdatasync", place, plan, |at| {
        file.write_all_at(&page, at)?;
        file.sync_data()
    })
}

/// A page written through a mapping, and `msync`.
pub(super) fn mapping(place: &Place, plan: &Plan) -> Result<Sync, Fail> {
    let file = prepare(place, plan).map_err(failed)?;
    let mut map = map(&file).map_err(failed)?;
    let mut round = 0_u8;
    again_and_again("store, msync", place, plan, |at| {
        round = round.wrapping_add(1);
        let at = at as usize;
        map[at..at + PAGE].fill(round);
        map.flush_range(at, PAGE)
    })
}

fn failed(error: std::io::Error) -> Fail {
    Fail::io("cannot measure what a sync costs", error)
}

fn prepare(place: &Place, plan: &Plan) -> std::io::Result<File> {
    let path = place.path("syncs");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    let len = FILE_BYTES.min(plan.part_bytes).next_multiple_of(PAGE as u64);
    // Page by page, as a log is prepared: what is written at once is kept as one by the page cache, and a sync of any of its
    // pages through a mapping would write all.
    for at in (0..len).step_by(PAGE) {
        file.write_all_at(&[0; PAGE], at)?;
    }
    file.sync_all()?;
    // Open as it is, it lives until it is closed.
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[allow(unsafe_code, reason = "a mapping of a file has no safe constructor")]
fn map(file: &File) -> std::io::Result<MmapMut> {
    // SAFETY: the file was made above in a directory that this process has just made, and its name is gone; so no other
    // process changes or shortens it, and this one touches it through the mapping alone.
    unsafe { MmapMut::map_mut(file) }
}

fn again_and_again(
    name: &'static str,
    place: &Place,
    plan: &Plan,
    mut sync: impl FnMut(u64) -> std::io::Result<()>,
) -> Result<Sync, Fail> {
    let len = FILE_BYTES.min(plan.part_bytes);
    let most = (plan.part_bytes / PAGE as u64).max(1);
    let mut latency = Latency::new();
    let began = Instant::now();
    let mut last = began;
    for number in 0..most {
        sync(number * PAGE as u64 % len.next_multiple_of(PAGE as u64)).map_err(failed)?;
        let now = Instant::now();
        latency.note(now - last);
        last = now;
        if now - began >= Duration::from_secs_f64(plan.seconds) || place.interrupted() {
            break;
        }
    }
    place.go_on()?;
    Ok(Sync { name, latency, seconds: (last - began).as_secs_f64() })
}
