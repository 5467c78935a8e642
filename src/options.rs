//! How a log is opened.

use core::time::Duration;
use std::path::Path;

use crate::crew::Crews;
use crate::error::{Error, Result};
use crate::limits::{
    RETIRED_TOGETHER, SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, SEGMENT_BYTES_PARTITION,
};
use crate::policy::{Checksum, SyncPolicy};
use crate::retention::RetentionPolicy;
use crate::storage::{SharedStorage, System};

/// Options to open a [`Log`](crate::Log) with; [`open`](Self::open) does it.
///
/// ```
/// use std::time::Duration;
/// use tidelog::{Checksum, Options, SyncPolicy};
///
/// let dir = tempfile::tempdir()?;
/// let log = Options::new()
///     .segment_bytes(1 << 20)
///     .checksum(Checksum::Crc64)
///     .sync_policy(SyncPolicy::periodic(Duration::from_millis(50)))
///     .open(dir.path())?;
/// log.append(b"hello")?;
/// log.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(crate) segment_bytes: Option<u64>,
    pub(crate) checksum: Checksum,
    pub(crate) sync_policy: SyncPolicy,
    pub(crate) zero_fill_bytes: Option<usize>,
    pub(crate) recycle_max: Option<usize>,
    pub(crate) any_file_system: bool,
    pub(crate) retention: RetentionPolicy,
    pub(crate) slow_sync: Option<Duration>,
    pub(crate) schema: Option<u64>,
    /// The log is one of many: it makes do with less.
    pub(crate) is_partition: bool,
    /// Whose threads do for the log what else threads of its own do.
    pub(crate) crews: Option<Crews>,
    #[cfg(feature = "testing")]
    pub(crate) disk: Option<crate::sim::Disk>,
}

/// Zero-fill in pieces of this size gives the page cache its smallest folios, so that a sync of one
/// small record writes one page (measured: 4 KiB against 64 KiB and 1 MiB).
const ZERO_FILL_DURABLE: usize = 4 << 10;

/// Larger folios cost fewer page faults where nothing is synced record by record.
const ZERO_FILL_PERIODIC: usize = 64 << 10;

/// Where nothing is synced at all, the device's own zeros (allocated, never written) do: three times the
/// throughput of zeros that are written and synced ahead.
const ZERO_FILL_NONE: usize = 0;

/// Retired files that are kept as spares: so many that all that the background retires at once can be used again. (With
/// two, a log that eight threads filled made a third of its segments anew, and ran at 60 % of the speed.)
const RECYCLE_DEFAULT: usize = RETIRED_TOGETHER as usize;

/// The same for each of many: a spare is a file that is kept open.
const RECYCLE_PARTITION: usize = 2;

const SLOW_SYNC_DEFAULT: Duration = Duration::from_secs(1);

impl Options {
    /// The defaults: 64 MiB segments, CRC-32C, group commit without a window.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Size of a segment in bytes: a power of two from 64 KiB to 1 GiB, by default 64 MiB.
    ///
    /// It is fixed when the log is created. Opening an existing log without this option takes the
    /// log's own size; opening it with another size is an error. A record may take up to a quarter
    /// of a segment. Two segments are kept prepared beyond the one in use, so a log occupies at
    /// least three times this on disk while it is open.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = Some(bytes);
        self
    }

    /// The checksum for the records appended from now on; earlier ones keep theirs.
    #[must_use]
    pub fn checksum(mut self, checksum: Checksum) -> Self {
        self.checksum = checksum;
        self
    }

    /// When appends return and when the log is flushed; group commit without a window by default.
    #[must_use]
    pub fn sync_policy(mut self, policy: SyncPolicy) -> Self {
        self.sync_policy = policy;
        self
    }

    /// Size of the writes that fill a fresh segment with zeros, in bytes: a power of two from 4 KiB to
    /// 1 MiB, or 0 for none. By default 4 KiB under `Immediate` and `Grouped` (16 KiB where syncs of late made 64 KiB and
    /// more durable each), 64 KiB under `Periodic`, 0 under `None`.
    ///
    /// It sets the folio size of the page cache and with it the least that a sync writes: with 1 MiB,
    /// a sync of one small record writes 1 MiB. With 0 the blocks are allocated but never written before
    /// their records are: the cheapest to prepare, but each sync of new blocks then commits to the file
    /// system's journal too.
    #[must_use]
    pub fn zero_fill_bytes(mut self, bytes: usize) -> Self {
        self.zero_fill_bytes = Some(bytes);
        self
    }

    /// How many retired segment files are kept as spares for reuse, by default 4; 0 deletes them all.
    #[must_use]
    pub fn recycle_max(mut self, files: usize) -> Self {
        self.recycle_max = Some(files);
        self
    }

    /// What the log keeps by itself; by default all, until [`Log::retire_before`](crate::Log::retire_before) is called. See
    /// [`RetentionPolicy`].
    #[must_use]
    pub fn retention(mut self, policy: RetentionPolicy) -> Self {
        self.retention = policy;
        self
    }

    /// A sync that takes so long, or longer, is told as [`Event::SyncSlow`](crate::Event::SyncSlow); 1 s by default.
    #[must_use]
    pub fn slow_sync(mut self, took: Duration) -> Self {
        self.slow_sync = Some(took);
        self
    }

    /// What the log's records are, by a number of your own: the version of their encoding. It is stored when the log is
    /// created, and opening a log that has another one, for writing or with [`open_reader`](Self::open_reader), is
    /// [`SchemaMismatch`](crate::ErrorKind::SchemaMismatch). Without this option any log is opened, and a new one has none,
    /// which is 0. [`Log::set_schema`](crate::Log::set_schema) changes it.
    #[must_use]
    pub fn schema(mut self, schema: u64) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Opens the log also on a file system on which guarantees cannot hold; by default that is
    /// [`Unsupported`](crate::ErrorKind::Unsupported). Those are network file systems (NFS, SMB, 9p, Ceph and the
    /// like), FUSE with virtiofs, and of the copy-on-write ones ZFS, bcachefs and NILFS2. `docs/DURABILITY.md` tells
    /// for each what may be lost there.
    #[must_use]
    pub fn allow_unsupported_file_system(mut self, allow: bool) -> Self {
        self.any_file_system = allow;
        self
    }

    /// True where the size of those writes is the log's to choose, and small syncs are to stay small.
    pub(crate) fn zero_fill_follows_groups(&self) -> bool {
        self.zero_fill_bytes.is_none() && self.sync_policy.acknowledges_durable()
    }

    pub(crate) fn zero_fill(&self) -> usize {
        self.zero_fill_bytes.unwrap_or(match self.sync_policy {
            SyncPolicy::None => ZERO_FILL_NONE,
            SyncPolicy::Periodic { .. } => ZERO_FILL_PERIODIC,
            SyncPolicy::Immediate | SyncPolicy::Grouped { .. } => ZERO_FILL_DURABLE,
        })
    }

    /// The log is on a simulated disk instead of the system's files. There segments may be as small as 4 KiB.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn disk(mut self, disk: &crate::sim::Disk) -> Self {
        self.disk = Some(disk.clone());
        self
    }

    pub(crate) fn storage(&self) -> SharedStorage {
        #[cfg(feature = "testing")]
        if let Some(disk) = &self.disk {
            return std::sync::Arc::new(disk.clone());
        }
        System::shared()
    }

    pub(crate) fn slow_sync_after(&self) -> Duration {
        self.slow_sync.unwrap_or(SLOW_SYNC_DEFAULT)
    }

    pub(crate) fn spares_max(&self) -> usize {
        let default = if self.is_partition { RECYCLE_PARTITION } else { RECYCLE_DEFAULT };
        self.recycle_max.unwrap_or(default)
    }

    fn segment_bytes_min(&self) -> u64 {
        #[cfg(feature = "testing")]
        if self.disk.is_some() {
            return crate::limits::SEGMENT_BYTES_LEAST;
        }
        SEGMENT_BYTES_MIN
    }

    /// Refuses a log of another schema.
    pub(crate) fn check_schema(&self, found: u64, directory: &Path) -> Result<()> {
        match self.schema {
            Some(asked) if asked != found => Err(Error::schema_mismatch(found, asked, directory)),
            _ => Ok(()),
        }
    }

    /// The segment size for a log that is being created.
    pub(crate) fn new_segment_bytes(&self) -> u64 {
        let default = if self.is_partition { SEGMENT_BYTES_PARTITION } else { SEGMENT_BYTES_DEFAULT };
        self.segment_bytes.unwrap_or(default)
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let bytes = self.new_segment_bytes();
        let least = self.segment_bytes_min();
        if !bytes.is_power_of_two() || !(least..=SEGMENT_BYTES_MAX).contains(&bytes) {
            return Err(Error::invalid_option(format!(
                "segment_bytes is {bytes}; give a power of two from {least} to {SEGMENT_BYTES_MAX}"
            )));
        }
        let fill = self.zero_fill();
        if fill != 0 && (!fill.is_power_of_two() || !(4 << 10..=1 << 20).contains(&fill)) {
            return Err(Error::invalid_option(format!(
                "zero_fill_bytes is {fill}; give 0 or a power of two from 4096 to 1048576"
            )));
        }
        if let SyncPolicy::Periodic { interval, bytes, records } = self.sync_policy
            && (interval.is_zero() || bytes == Some(0) || records == Some(0))
        {
            return Err(Error::invalid_option(
                "Periodic needs an interval, bytes and records above zero; use Immediate to sync every append",
            ));
        }
        Ok(())
    }
}
