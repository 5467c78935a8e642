//! Damage at random: whatever it is, what reads back before is there afterwards.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use proptest::prelude::*;
use tidelog::Lsn;
use tidelog::inspect::{FrameKind, Inspector, SegmentState};

use crate::support::{SEGMENT, restore};
use crate::world::{Files, World, salvage};

#[derive(Clone, Debug)]
enum Hit {
    Flip(usize),
    Zero(usize, usize),
    Garbage(usize, usize, u8),
    /// One part over another.
    Copy(usize, usize, usize),
    Cut(usize),
    Remove,
}

fn hit() -> impl Strategy<Value = Hit> {
    let place = || prop_oneof![0..4096_usize, 4096..69_632_usize];
    prop_oneof![
        6 => (0..69_632_usize * 8).prop_map(Hit::Flip),
        2 => (place(), 1..9000_usize).prop_map(|(at, len)| Hit::Zero(at, len)),
        2 => (place(), 1..3000_usize, any::<u8>()).prop_map(|(at, len, byte)| Hit::Garbage(at, len, byte)),
        2 => (place(), place(), 1..3000_usize).prop_map(|(from, to, len)| Hit::Copy(from & !7, to & !7, len)),
        1 => place().prop_map(Hit::Cut),
        1 => Just(Hit::Remove),
    ]
}

fn strike(files: &mut Files, name: &str, hit: &Hit) {
    let Some(bytes) = files.get_mut(name) else { return };
    let end = |at: usize, len: usize, of: &Vec<u8>| (at + len).min(of.len());
    match hit {
        Hit::Flip(bit) if bit / 8 < bytes.len() => bytes[bit / 8] ^= 1 << (bit % 8),
        Hit::Zero(at, len) if *at < bytes.len() => {
            let end = end(*at, *len, bytes);
            bytes[*at..end].fill(0);
        }
        Hit::Garbage(at, len, byte) if *at < bytes.len() => {
            let end = end(*at, *len, bytes);
            bytes[*at..end].fill(*byte);
        }
        Hit::Copy(from, to, len) if from.max(to) < &bytes.len() => {
            let len = (bytes.len() - from.max(to)).min(*len);
            bytes.copy_within(*from..from + len, *to);
        }
        Hit::Cut(at) => bytes.truncate(*at),
        Hit::Remove => {
            files.remove(name);
        }
        _ => {}
    }
}

/// The records that somebody finds who has the tool for looking alone; whole batches.
fn readable(files: &Files) -> BTreeMap<Lsn, Vec<u8>> {
    let dir = restore(files);
    let mut found = BTreeMap::new();
    let Ok(inspector) = Inspector::open(dir.path()) else { return found };
    for segment in inspector.files().unwrap().segments {
        if segment.state == SegmentState::Damaged || !segment.base.get().is_multiple_of(SEGMENT) {
            continue;
        }
        let Ok(mut frames) = inspector.frames(segment.base) else { continue };
        loop {
            let mut batch = Vec::new();
            while let Ok(Some(frame)) = frames.next_frame() {
                match frame.kind {
                    FrameKind::Padding => {}
                    kind => {
                        if matches!(kind, FrameKind::Record | FrameKind::BatchFirst) {
                            batch.clear();
                        }
                        batch.push((frame.lsn, frame.payload.to_vec()));
                        if matches!(kind, FrameKind::Record | FrameKind::BatchLast) {
                            found.extend(batch.drain(..));
                        }
                    }
                }
            }
            if !matches!(frames.resume(), Ok(Some(_))) {
                break;
            }
        }
    }
    found
}

fn worlds() -> &'static [World; 2] {
    static WORLDS: OnceLock<[World; 2]> = OnceLock::new();
    WORLDS.get_or_init(|| [World::closed(), World::killed()])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_reads_back_is_kept(
        closed in any::<bool>(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), hit()), 1..6),
    ) {
        let world = &worlds()[usize::from(closed)];
        let mut damaged = world.files.clone();
        let names: Vec<String> = damaged.keys().filter(|name| !name.ends_with(".spare")).cloned().collect();
        for (which, hit) in &hits {
            strike(&mut damaged, which.get(&names[..]).as_str(), hit);
        }
        let has_header = damaged.iter().any(|(name, bytes)| name.ends_with(".seg") && bytes.len() >= 4096);
        prop_assume!(has_header);
        let before = readable(&damaged);
        let (_, left) = salvage(&format!("{hits:?}"), world, &damaged);
        let left: BTreeMap<_, _> = left.into_iter().collect();
        for (lsn, bytes) in &before {
            prop_assert_eq!(left.get(lsn), Some(bytes), "{:?} at {}", hits, lsn);
        }
    }
}
