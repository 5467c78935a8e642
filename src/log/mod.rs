//! The handle: composes the parts, decides nothing.

mod background;
mod cursor;
mod inner;
mod schema;
#[cfg(feature = "futures")]
mod sink;
mod tasks;

use core::fmt;
use std::path::Path;

pub use self::cursor::Cursor;

use self::inner::Inner;
#[cfg(feature = "futures")]
pub use self::sink::LogSink;
use crate::append::{self, BatchLsns};
use crate::chain::{Progress, read_live};
use crate::error::{Error, Result};
use crate::lsn::Lsn;
use crate::options::Options;
use crate::policy::SyncPolicy;
use crate::primitive::Arc;
use crate::record::PinnedRecord;
use crate::recovery::RecoveryReport;
use crate::reentry::refuse_inside_claim;
use crate::snapshot::Snapshot;
use crate::stats::{Stats, Watermarks};
use crate::tail::Tail;
use crate::trace;
use crate::watcher::Watcher;

/// An append-only log in a directory.
///
/// All methods take `&self` and may be called from any number of threads; appending takes no lock. Clones are
/// the same log. It is closed by [`close`](Self::close), or as well as possible when the last clone is dropped.
///
/// A process that is forked off has no part in the log: there calls that would change it or read from it give
/// [`Forked`](crate::ErrorKind::Forked), and dropping it changes nothing on disk. `docs/DURABILITY.md` says more.
///
/// ```
/// let dir = tempfile::tempdir()?;
/// let log = tidelog::Log::open(dir.path().join("log"))?;
/// let lsn = log.append(b"hello")?; // durable when this returns, by the default policy
/// assert_eq!(log.read(lsn)?.payload(), b"hello");
///
/// for record in &log.snapshot() {
///     let record = record?;
///     println!("{} {:?}", record.lsn(), record.payload());
/// }
/// log.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Log {
    inner: std::sync::Arc<Inner>,
}

impl Options {
    /// Opens the log in `directory`, or creates it.
    ///
    /// # Errors
    /// * [`Locked`](crate::ErrorKind::Locked): somebody else writes it; the message has the pid.
    /// * [`Corrupt`](crate::ErrorKind::Corrupt): bytes that were durable are damaged. Nothing was changed.
    /// * [`InvalidOption`](crate::ErrorKind::InvalidOption): an option out of range, or another segment size
    ///   than the log's.
    /// * [`SchemaMismatch`](crate::ErrorKind::SchemaMismatch): another schema tag than the log's; nothing was changed.
    /// * [`StorageFull`](crate::ErrorKind::StorageFull), [`Io`](crate::ErrorKind::Io),
    ///   [`Unsupported`](crate::ErrorKind::Unsupported).
    pub fn open(&self, directory: impl AsRef<Path>) -> Result<Log> {
        self.validate()?;
        let directory = directory.as_ref();
        let _span = trace::open(directory);
        let opened = Inner::open(self, directory).inspect_err(|error| trace::failed("open", error));
        opened.map(|inner| Log { inner: std::sync::Arc::new(inner) })
    }
}

impl Log {
    /// Opens the log in `directory`, or creates it, with the default [`Options`].
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        Options::new().open(directory)
    }

    /// Appends a record and returns its LSN: when it is published under `None` and `Periodic`, when it is
    /// durable under `Immediate` and `Grouped`. Empty records are records.
    ///
    /// A record is published and durable as a whole: no reader and no recovery ever sees a part of it.
    ///
    /// # Errors
    /// * [`TooLarge`](crate::ErrorKind::TooLarge): over [`record_bytes_max`](Self::record_bytes_max).
    /// * [`StorageFull`](crate::ErrorKind::StorageFull): no room for the next segment. Nothing was appended; try
    ///   again when there is room. [`Io`](crate::ErrorKind::Io): the next segment could not be made for another
    ///   reason.
    /// * [`Closed`](crate::ErrorKind::Closed): nothing was appended.
    /// * [`Poisoned`](crate::ErrorKind::Poisoned): a sync failed, this record's or an earlier one. The record may
    ///   or may not be found when the log is opened again.
    /// * [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock): called inside a closure of
    ///   [`append_with`](Self::append_with) where it would wait.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// let first = log.append(b"one")?;
    /// let second = log.append(b"two")?;
    /// assert!(first < second);
    /// let error = log.append(&vec![0; log.record_bytes_max() + 1]).unwrap_err();
    /// assert_eq!(error.kind(), tidelog::ErrorKind::TooLarge);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn append(&self, payload: &[u8]) -> Result<Lsn> {
        self.inner.refuse_to_wait_inside_claim()?;
        let appended = append::append(&self.inner.chain, payload)?;
        self.inner.acknowledge(appended)
    }

    /// Appends a record of `len` bytes that `fill` writes in place, without a copy. The buffer begins zeroed, at
    /// an address divisible by 8.
    ///
    /// Others' records become durable, and visible to snapshots, only up to here while `fill` runs: keep it
    /// short. If it panics, the place becomes padding, the log goes on, and so does the panic. (On Btrfs it writes into
    /// a buffer, which is copied.)
    ///
    /// # Errors
    /// As [`append`](Self::append).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// let lsn = log.append_with(8, |buffer| buffer.copy_from_slice(&42_u64.to_le_bytes()))?;
    /// assert_eq!(log.read(lsn)?.payload(), 42_u64.to_le_bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append_with(&self, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<Lsn> {
        let appended = append::append_with(&self.inner.chain, len, fill)?;
        self.inner.acknowledge(appended)
    }

    /// Appends several records as one: readers see all or none of them, and so does recovery. Returns their
    /// LSNs; of an empty batch there are none.
    ///
    /// # Errors
    /// As [`append`](Self::append). With their headers of 16 bytes each, rounded up to 8, all records together may
    /// take as much as the largest single one does. [`InvalidOption`](crate::ErrorKind::InvalidOption) when an
    /// `AsRef` gives slices of different lengths from call to call.
    pub fn append_batch<'a, T: AsRef<[u8]>>(&self, records: &'a [T]) -> Result<BatchLsns<'a, T>> {
        self.inner.refuse_to_wait_inside_claim()?;
        let Some(appended) = append::append_batch(&self.inner.chain, records)? else {
            return Ok(BatchLsns::new(0, &[]));
        };
        let first = self.inner.acknowledge(appended)?;
        Ok(BatchLsns::new(first.get(), records))
    }

    /// Appends a record and returns when it is published, under every policy. Nothing is synced for it until
    /// somebody waits: see [`wait_durable`](Self::wait_durable) and [`sync`](Self::sync).
    ///
    /// # Errors
    /// As [`append`](Self::append).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// let mut last = None;
    /// for n in 0..100_u32 {
    ///     last = Some(log.append_nowait(&n.to_le_bytes())?); // published
    /// }
    /// if let Some(lsn) = last {
    ///     log.wait_durable(lsn)?; // one sync for all of them
    ///     assert!(log.watermarks().durable > lsn);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn append_nowait(&self, payload: &[u8]) -> Result<Lsn> {
        append::append(&self.inner.chain, payload).map(|appended| Lsn::new(appended.lsn))
    }

    /// Waits until the record at `lsn` and everything before it is durable: by joining the policy's next sync.
    /// Under `Periodic` that is the next one that is due, so it may take an interval; under the other policies it
    /// joins one that covers the record, or carries one out. It returns at once when the record is durable already.
    ///
    /// # Errors
    /// * [`NotWritten`](crate::ErrorKind::NotWritten): nothing was appended there yet.
    /// * [`Poisoned`](crate::ErrorKind::Poisoned): a sync failed before this was durable.
    /// * [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock): inside a closure of `append_with`.
    pub fn wait_durable(&self, lsn: Lsn) -> Result<()> {
        let inner = &*self.inner;
        inner.chain.refuse_in_child()?;
        let end = inner.chain.written_end();
        if lsn.get() >= end {
            return Err(Error::not_written(lsn, Lsn::new(end)));
        }
        let position = lsn.get() + 1;
        if inner.chain.durability.durable() >= position {
            return Ok(());
        }
        refuse_inside_claim()?;
        match inner.policy {
            SyncPolicy::Periodic { .. } if !inner.chain.is_closed() => {
                inner.chain.durability.wait_for_others(position)
            }
            _ => inner.syncer.make_durable(position),
        }
    }

    /// Makes everything durable that was appended before this call, at once and under every policy. It waits for
    /// appends that are under way.
    ///
    /// # Errors
    /// [`Poisoned`](crate::ErrorKind::Poisoned) when a sync failed, this one or an earlier one;
    /// [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock) inside a closure of `append_with`.
    pub fn sync(&self) -> Result<()> {
        refuse_inside_claim()?;
        self.inner.sync_all()
    }

    /// The log as it is now: every record whose append has returned. Zero-copy; it pins its segments.
    ///
    /// It waits for appends that are under way, which takes as long as a copy, or as their closures of
    /// `append_with`. (Inside such a closure it does not wait, and ends at the first record that is not there.)
    /// Should a header word in memory be damaged, the snapshot ends before it; `sync` and reads there tell.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.inner.counters.snapshots.add(1);
        Snapshot::of(&self.inner.chain)
    }

    /// The record at `lsn`, in constant time. It keeps its segment mapped as long as it is held. For many reads,
    /// [`Snapshot::read`] is about twice as fast, and threads do not get in each other's way.
    ///
    /// # Errors
    /// [`Retired`](crate::ErrorKind::Retired), [`NotWritten`](crate::ErrorKind::NotWritten),
    /// [`NotARecord`](crate::ErrorKind::NotARecord) when no record begins there,
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when it does not verify; [`Io`](crate::ErrorKind::Io) and
    /// [`TooManyMappings`](crate::ErrorKind::TooManyMappings) when its segment cannot be mapped.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// use tidelog::{ErrorKind, Lsn};
    ///
    /// let lsn = log.append(b"found by its LSN")?;
    /// assert_eq!(log.read(lsn)?.payload(), b"found by its LSN");
    /// assert_eq!(log.read(Lsn::new(lsn.get() + 8)).unwrap_err().kind(), ErrorKind::NotARecord);
    /// assert_eq!(log.read(log.watermarks().claimed).unwrap_err().kind(), ErrorKind::NotWritten);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(&self, lsn: Lsn) -> Result<PinnedRecord> {
        self.inner.chain.refuse_in_child()?;
        self.inner.counters.reads.add(1);
        read_live(&self.inner.chain, lsn.get()).inspect_err(|error| {
            if error.is_corruption() {
                self.inner.announcer.tell_failure(error);
            }
        })
    }

    /// Follows the log from `from` on: an LSN that was appended, or a watermark. It sees records when they are
    /// published, durable or not. See [`Tail`].
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn tail(&self, from: Lsn) -> Result<Tail> {
        self.tail_of(from, Progress::Published)
    }

    /// The same, but it sees records when they are durable. It syncs nothing by itself: it follows the syncs of the
    /// policy and of those who wait.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// let mut tail = log.tail_durable(log.watermarks().published)?;
    /// log.append_nowait(b"published")?;
    /// assert!(tail.try_next()?.is_none());
    /// log.sync()?;
    /// assert_eq!(tail.next()?.unwrap().payload(), b"published");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tail_durable(&self, from: Lsn) -> Result<Tail> {
        self.tail_of(from, Progress::Durable)
    }

    fn tail_of(&self, from: Lsn, progress: Progress) -> Result<Tail> {
        self.inner.chain.refuse_in_child()?;
        let tail = Tail::new(Arc::clone(&self.inner.chain), from, progress)?;
        self.inner.counters.tails.add(1);
        Ok(tail)
    }

    /// Tells when the published watermark has passed `beyond`, and then again each time that it moves on. See
    /// [`Watcher`].
    #[must_use]
    pub fn watch_published(&self, beyond: Lsn) -> Watcher {
        Watcher::new(Arc::clone(&self.inner.chain), Progress::Published, beyond)
    }

    /// Tells when the durable watermark has passed `beyond`, and then again each time that it moves on. See [`Watcher`].
    #[must_use]
    pub fn watch_durable(&self, beyond: Lsn) -> Watcher {
        Watcher::new(Arc::clone(&self.inner.chain), Progress::Durable, beyond)
    }

    /// Drops the records before `lsn`, as far as they fill whole segments. What snapshots and records still
    /// hold stays readable for them. Returns the first LSN that is left. The segment with the newest record is
    /// never dropped.
    ///
    /// When it returns, the new start is durable. The room is free, or kept as spares for the next segments
    /// ([`Options::recycle_max`]), unless somebody still reads there: then it is freed some time after.
    ///
    /// # Errors
    /// * [`NotWritten`](crate::ErrorKind::NotWritten): the LSN lies beyond the log's end.
    /// * [`Closed`](crate::ErrorKind::Closed): there is something to drop, and the log is closed.
    /// * [`Held`](crate::ErrorKind::Held): a cursor gates what was to be dropped, and nothing was; the error has its file and
    ///   its position. [`Corrupt`](crate::ErrorKind::Corrupt): the file of a cursor is damaged, so that it may be a gate.
    /// * [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock): inside a closure of `append_with`.
    /// * [`Io`](crate::ErrorKind::Io), [`StorageFull`](crate::ErrorKind::StorageFull): the new start could not be
    ///   written, and then nothing was dropped; or a file could not be removed, and the next opening does it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// use tidelog::ErrorKind;
    ///
    /// let old = log.append_nowait(b"old")?;
    /// for _ in 0..100 {
    ///     log.append_nowait(&[0; 1000])?; // over more than one segment
    /// }
    /// let snapshot = log.snapshot();
    /// let start = log.retire_before(log.append(b"new")?)?;
    /// assert!(start > old);
    /// let error = log.read(old).unwrap_err();
    /// assert_eq!((error.kind(), error.lsn()), (ErrorKind::Retired, Some(start)));
    /// assert_eq!(snapshot.iter().next().unwrap()?.payload(), b"old"); // pinned
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retire_before(&self, lsn: Lsn) -> Result<Lsn> {
        // Somebody who closes the log may hold the lock that is taken here, and wait for this thread's claim.
        refuse_inside_claim()?;
        let _span = trace::retire(lsn.get());
        let outcome = self.inner.retire_before(lsn.get());
        match &outcome {
            Ok(start) => trace::retired(start.get()),
            Err(error) => trace::failed("retire", error),
        }
        outcome
    }

    /// How far the log is. It looks how far the log is published, in time proportional to what was appended since
    /// somebody looked last.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// log.append_nowait(b"published")?;
    /// let marks = log.watermarks();
    /// assert!(marks.durable < marks.published);
    /// log.sync()?;
    /// assert_eq!(log.watermarks().durable, marks.published);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn watermarks(&self) -> Watermarks {
        self.inner.telemetry.watermarks()
    }

    /// What opening the log found.
    #[must_use]
    pub fn recovery(&self) -> &RecoveryReport {
        &self.inner.report
    }

    /// What the log has done since it was opened, and how far it is. Like [`watermarks`](Self::watermarks) it looks how far
    /// the log is published.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.telemetry.stats()
    }

    /// Reports the log's [`stats`](Self::stats) to the recorder of the `metrics` facade, which the log does by itself
    /// once a second and when it is closed: for exporters that ask just before they are read, and for recorders of one
    /// thread alone. `docs/METRICS.md` lists what is reported.
    ///
    /// Counters and gauges are set to what they are since the opening; a histogram is given the values that it has not
    /// been given yet. So install the recorder before the log is opened.
    #[cfg(feature = "metrics")]
    pub fn report_metrics(&self) {
        self.inner.telemetry.report();
    }

    /// The policy it was opened with.
    #[must_use]
    pub fn sync_policy(&self) -> SyncPolicy {
        self.inner.policy
    }

    /// The largest payload of a record, in bytes: a quarter of a segment, at most 128 MiB, less a header of 16 bytes.
    #[must_use]
    pub fn record_bytes_max(&self) -> usize {
        append::record_bytes_max(self.inner.chain.geometry.claim_max) as usize
    }

    /// The size of a segment, in bytes.
    #[must_use]
    pub fn segment_bytes(&self) -> u64 {
        self.inner.chain.geometry.segment_bytes()
    }

    /// Where the log lies, as an absolute path.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.inner.directory.path()
    }

    /// Closes the log for all its clones: no more appends, everything that returned is made durable, and the
    /// directory is free for the next writer. Snapshots, records and tails stay usable. The next opening trusts a log
    /// that was closed without scanning it.
    ///
    /// It waits for appends that are under way. Prepared segments that were not used stay in the directory as spares.
    ///
    /// # Errors
    /// What kept it from being made durable: [`Poisoned`](crate::ErrorKind::Poisoned),
    /// [`Io`](crate::ErrorKind::Io). Closing again gives the same outcome.
    /// [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock) inside a closure of `append_with`; the log stays open.
    pub fn close(&self) -> Result<()> {
        refuse_inside_claim()?;
        self.inner.close()
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("directory", &self.directory())
            .field("watermarks", &self.watermarks())
            .field("sync_policy", &self.inner.policy)
            .finish()
    }
}
