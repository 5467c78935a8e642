//! The subject.

use std::path::Path;

use tidelog::{Log as Tide, Options, SyncPolicy};

use crate::log::{Failure, Log, Promise, Setup};

/// Segments that stay.
const KEPT: u64 = 4;

pub struct Tidelog {
    log: Tide,
    segment_bytes: u64,
}

fn options(setup: &Setup) -> Options {
    let policy = if setup.durable { SyncPolicy::grouped() } else { SyncPolicy::None };
    Options::new().segment_bytes(setup.segment_bytes).sync_policy(policy)
}

impl Log for Tidelog {
    const NAME: &'static str = "tidelog, this tree";
    const VERIFIES: bool = true;

    fn promise(setup: &Setup) -> Option<Promise> {
        Some(if setup.durable { Promise::Durable } else { Promise::Kernel })
    }

    fn open(place: &Path, setup: &Setup) -> Result<Self, Failure> {
        Ok(Self { log: options(setup).open(place)?, segment_bytes: setup.segment_bytes })
    }

    fn append(&self, payload: &[u8]) -> Result<(), Failure> {
        self.log.append(payload)?;
        Ok(())
    }

    fn append_batch(&self, payloads: &[&[u8]]) -> Result<bool, Failure> {
        self.log.append_batch(payloads)?;
        Ok(true)
    }

    fn drop_old(&self) -> Result<(), Failure> {
        let watermarks = self.log.watermarks();
        let end = watermarks.claimed.get() / self.segment_bytes * self.segment_bytes;
        let start = end.saturating_sub((KEPT - 1) * self.segment_bytes);
        if start > watermarks.start.get() {
            self.log.retire_before(tidelog::Lsn::new(start))?;
        }
        Ok(())
    }

    fn close(self) -> Result<(), Failure> {
        Ok(self.log.close()?)
    }

    fn replay(place: &Path, setup: &Setup, each: &mut dyn FnMut(&[u8])) -> Result<bool, Failure> {
        let log = options(setup).open(place)?;
        for record in &log.snapshot() {
            each(record?.payload());
        }
        log.close()?;
        Ok(true)
    }

    fn follow(&self, feed: &(dyn Fn() + Sync), each: &mut dyn FnMut(&[u8]) -> bool) -> Result<bool, Failure> {
        let mut tail = self.log.tail(self.log.watermarks().published)?;
        std::thread::scope(|scope| {
            scope.spawn(feed);
            while let Some(record) = tail.next()? {
                if !each(record.payload()) {
                    break;
                }
            }
            Ok(true)
        })
    }
}
