//! The same for many logs, several at a time.

use crate::error::Result;
use crate::log::Log;
use crate::primitive::{Mutex, lock};

/// Does `work` for every log, for up to `threads` at the same time. Returns the first failure; the others are done all the same.
pub(super) fn all(logs: &[Log], threads: usize, work: impl Fn(&Log) -> Result<()> + Sync) -> Result<()> {
    let next = Mutex::new((logs.iter(), Ok(())));
    let serve = || {
        loop {
            let Some(log) = lock(&next).0.next() else { return };
            if let Err(error) = work(log) {
                let (_, outcome) = &mut *lock(&next);
                if outcome.is_ok() {
                    *outcome = Err(error);
                }
            }
        }
    };
    let helpers = threads.min(logs.len()).saturating_sub(1);
    std::thread::scope(|scope| {
        for _ in 0..helpers {
            // Without it the others do its part.
            let helper = std::thread::Builder::new().name("tidelog-syncer".to_owned());
            if helper.spawn_scoped(scope, serve).is_err() {
                break;
            }
        }
        serve();
    });
    lock(&next).1.clone()
}
