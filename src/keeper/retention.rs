//! Retiring: on demand, and by the log's own policy, in the background.

use core::time::Duration;
use std::time::Instant;

use super::Keeper;
use crate::cursors::Holder;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::format::header::{Identity, TailMark};
use crate::format::meta::Meta;
use crate::limits::RETIRED_TOGETHER;
use crate::lsn::Lsn;
use crate::primitive::{Mutex, MutexGuard, lock, try_lock};
use crate::retention::RetentionPolicy;
use crate::storage::{Access, Failure};
use crate::trace;

/// Fewer segments than are retired together go after so long.
const LINGER: Duration = Duration::from_millis(100);
/// After a failure it is tried again so often.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Headers that are looked into at once, for the times of their segments.
const LOOKS: u64 = 64;

/// Where the log begins, and what decides that.
#[derive(Debug)]
pub(crate) struct Retention {
    /// What `log.meta` says; changed by one retirement at a time.
    meta: Mutex<Meta>,
    policy: Mutex<RetentionPolicy>,
    look: Mutex<Look>,
}

/// What the background remembers from one look to the next.
#[derive(Debug)]
struct Look {
    /// When the log was opened: segments of which nobody noted when they were full were so by then.
    opened_unix_ns: u64,
    /// Since when there is something to retire.
    since: Option<Instant>,
    failed: Option<Instant>,
    /// A segment and when it was full, so that its header is read once.
    sealed: Option<(u64, u64)>,
}

impl Retention {
    pub(crate) fn new(meta: Meta, policy: RetentionPolicy, opened_unix_ns: u64) -> Self {
        let look = Look { opened_unix_ns, since: None, failed: None, sealed: None };
        Self { meta: Mutex::new(meta), policy: Mutex::new(policy), look: Mutex::new(look) }
    }

    pub(crate) fn policy(&self) -> RetentionPolicy {
        *lock(&self.policy)
    }

    pub(crate) fn set(&self, policy: RetentionPolicy) {
        *lock(&self.policy) = policy;
    }

    /// Nothing is retired as long as this is held.
    pub(crate) fn lock_meta(&self) -> MutexGuard<'_, Meta> {
        lock(&self.meta)
    }
}

impl Keeper {
    /// Retires what ends at or before `lsn`, and returns the log's start.
    pub(crate) fn retire_before(&self, lsn: u64) -> Result<Lsn> {
        let outcome = self.retire_by_hand(lsn);
        // Who waits for records that are gone. Whatever came of it: they may be gone although a file is not.
        self.chain.tell_everybody();
        outcome
    }

    fn retire_by_hand(&self, lsn: u64) -> Result<Lsn> {
        let mut meta = self.retention.lock_meta();
        if lsn > self.chain.claimed() {
            return Err(Error::not_written(Lsn::new(lsn), Lsn::new(self.chain.claimed())));
        }
        let geometry = self.chain.geometry;
        // The newest record's segment stays, so that there is always one to find the end of the log in.
        let newest = self.chain.advance_published()?.position().saturating_sub(1);
        let number = geometry.number(lsn).min(geometry.number(newest));
        if number * geometry.segment_bytes() > meta.start {
            if self.chain.is_closed() {
                return Err(self.chain.closed_error());
            }
            if let Some(holder) = self.holder(number, true)? {
                return Err(holder.error(lsn));
            }
            self.retire(&mut meta, number)?;
        }
        Ok(Lsn::new(meta.start))
    }

    /// Which cursor gates the retirement of what lies before segment `number`. With `sync`, whoever has committed beyond
    /// that is made durable, so that it need not be held.
    fn holder(&self, number: u64, sync: bool) -> Result<Option<Holder>> {
        let until = number * self.chain.geometry.segment_bytes();
        let lag_max = self.retention.policy().max_gate_bytes;
        let holder = self.cursors.holder(until, self.chain.written_end(), lag_max, sync);
        holder.map_err(|failure| self.cursor_failed(failure))
    }

    /// As a failed sync of `log.meta`: what else the device had in its cache may be gone too, and no later sync would tell.
    pub(crate) fn cursor_failed(&self, Failure { error, device_failed }: Failure) -> Error {
        if device_failed {
            self.poison(&error);
        }
        error
    }

    /// Retires the segments below `number`: first the new start, durably; from then on the files below it are nothing.
    fn retire(&self, meta: &mut Meta, number: u64) -> Result<()> {
        let began = Instant::now();
        let (from, start) = (meta.start, number * self.chain.geometry.segment_bytes());
        self.update_meta(meta, start)?;
        self.announcer.tell(|| Event::Retired { from: Lsn::new(from), to: Lsn::new(start) });
        if self.retention.policy().max_gate_bytes.is_some() {
            for (cursor, position) in self.cursors.passed(from, start) {
                let (position, start) = (Lsn::new(position), Lsn::new(start));
                self.announcer.tell(|| Event::GateOverrun { cursor, position, start });
            }
        }
        self.discard(self.chain.catalog.take_before(number))?;
        self.counters.upkeep.retirements.note_time(began.elapsed());
        Ok(())
    }

    /// Writes the log's start, and how far it is durable by now.
    pub(crate) fn update_meta(&self, meta: &mut Meta, start: u64) -> Result<()> {
        self.replace_meta(meta, Meta { start, ..*meta })
    }

    /// Writes the log's schema tag. Under the lock of `meta`, so that of two who change it none is lost.
    pub(crate) fn set_schema(&self, schema: u64) -> Result<()> {
        let mut meta = self.retention.lock_meta();
        if self.chain.is_closed() {
            return Err(self.chain.closed_error());
        }
        if let Some(poison) = self.chain.durability.poison() {
            return Err(poison);
        }
        let next = Meta { schema, ..*meta };
        self.replace_meta(&mut meta, next)
    }

    fn replace_meta(&self, meta: &mut Meta, next: Meta) -> Result<()> {
        let proven = meta.proven.max(self.chain.durability.durable());
        let next = Meta { proven, generation: meta.generation + 1, ..next };
        if let Err(Failure { error, device_failed }) = self.directory.update_meta(meta, &next) {
            if device_failed {
                self.poison(&error);
            }
            return Err(error);
        }
        *meta = next;
        Ok(())
    }

    /// Prepares the next segment. Where there is no room for it, what the policy lets go is retired at once.
    pub(super) fn prepare_or_make_room(&self) -> core::result::Result<(), Failure> {
        match self.prepare_next() {
            Err(Failure { error, .. }) if error.kind() == ErrorKind::StorageFull && self.retain(true) => {
                self.prepare_next()
            }
            outcome => outcome,
        }
    }

    /// Retires what the policy lets go, when it is worth an update of `log.meta` or `at_once`. True when anything was
    /// retired. Cheap where there is nothing to do: the preparer calls it between any two segments.
    pub(crate) fn retain(&self, at_once: bool) -> bool {
        let policy = self.retention.policy();
        if !policy.retires() || self.chain.is_closed() {
            return false;
        }
        let Some(mut look) = try_lock(&self.retention.look) else { return false };
        let (first, target) = self.to_retire(&policy, &mut look);
        let target = self.not_held(first, target, false);
        if target <= first {
            look.since = None;
            return false;
        }
        let since = *look.since.get_or_insert_with(Instant::now);
        let due = at_once || target - first >= RETIRED_TOGETHER || since.elapsed() >= LINGER;
        if !due || look.failed.is_some_and(|at| !at_once && at.elapsed() < RETRY_AFTER) {
            return false;
        }
        // Somebody who retires by hand, or closes, holds nobody up here.
        let Some(mut meta) = try_lock(&self.retention.meta) else { return false };
        // Now that no gate is set or moved back.
        let target = self.not_held(first, target, true);
        if self.chain.is_closed() || target * self.chain.geometry.segment_bytes() <= meta.start {
            look.failed = Some(Instant::now());
            return false;
        }
        let outcome = self.retire(&mut meta, target);
        // A file that cannot be removed is of no account: the next opening does it.
        let retired = meta.start > first * self.chain.geometry.segment_bytes();
        look.since = None;
        look.failed = outcome.is_err().then(Instant::now);
        drop((meta, look));
        // Who waits for records that are gone.
        self.chain.tell_everybody();
        match &outcome {
            Ok(()) => trace::retired(self.chain.catalog.start()),
            Err(error) => trace::failed("retire", error),
        }
        retired
    }

    /// As many of the segments from `first` to `target` as no cursor gates.
    fn not_held(&self, first: u64, target: u64, sync: bool) -> u64 {
        if target <= first {
            return target;
        }
        match self.holder(target, sync) {
            Ok(None) => target,
            Ok(Some(holder)) => self.chain.geometry.number(holder.position),
            // A cursor that cannot be synced now holds what it held.
            Err(_) => first,
        }
    }

    /// The number of the first segment, and of the first that is to be kept.
    fn to_retire(&self, policy: &RetentionPolicy, look: &mut Look) -> (u64, u64) {
        let geometry = self.chain.geometry;
        let first = geometry.number(self.chain.catalog.start());
        // As it was last seen: the keeper looks when the end of a segment was passed.
        let end = self.chain.published().position();
        let newest = geometry.number(end.saturating_sub(1));
        let floor = policy.floor(newest, geometry.segment_bytes());
        let written = self.chain.written_end();
        let mut target = policy.first_kept(written, newest, geometry.segment_bytes()).max(first).min(floor);
        if let Some(age) = policy.max_age {
            let now = self.directory.storage().unix_nanos();
            let young = now.saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
            let last = floor.min(target.saturating_add(LOOKS));
            while target < last && self.sealed_at(target, look) < young {
                target += 1;
            }
        }
        (first, target)
    }

    /// When a segment was full, nanoseconds since 1970; at the latest.
    fn sealed_at(&self, number: u64, look: &mut Look) -> u64 {
        if let Some((_, at)) = look.sealed.filter(|(of, _)| *of == number) {
            return at;
        }
        let Some(segment) = self.chain.catalog.find(number) else { return u64::MAX };
        let mark = segment.tail_mark().or_else(|| self.tail_mark_of(segment.identity()));
        let noted = mark.filter(|mark| mark.end == segment.end()).map(|mark| mark.sealed_unix_ns);
        match noted.filter(|at| *at != 0) {
            Some(at) => {
                look.sealed = Some((number, at));
                at
            }
            // It was there, and full, when the log was opened; or it is about to be marked.
            None if segment.is_writable() => u64::MAX,
            None => look.opened_unix_ns,
        }
    }

    /// From the file of a segment that is not mapped.
    fn tail_mark_of(&self, identity: &Identity) -> Option<TailMark> {
        let file = self.directory.open_segment(identity.base(), Access::Read).ok()?;
        self.directory.read_header(&*file, identity).ok()?.tail_mark
    }
}
