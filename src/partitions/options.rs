//! How partitions are opened.

use std::path::Path;

use super::Partitions;
use crate::error::{Error, Result};
use crate::limits::{HEADER_BYTES, MAPPED_IDLE_PARTITION, SEGMENTS_AHEAD};
use crate::options::Options;

const OPEN_DEFAULT: usize = 256;
/// (256 partitions with a record each: 32 ms one by one, 16 with 4 at a time, 11 with 8, 8 with 16.)
const SYNC_THREADS_DEFAULT: usize = 8;
/// More threads than this are a mistake.
const SYNC_THREADS_MAX: usize = 256;

/// Options to open [`Partitions`] with; [`open`](Self::open) does it.
///
/// **What an open partition costs.** One file descriptor for its lock, and one for each spare segment file that it keeps
/// ([`Options::recycle_max`], 2 by default). Mappings: of the segment that it writes to, of at most two that are ready
/// ahead, of up to four more that were read or written before, of what snapshots and records hold, and of
/// what is not durable yet: under `None` call [`Partitions::sync`] now and then. On the heap about
/// 5 KB. On disk a segment and 12 KB; the next one is made when half of the first is used, and from the second on two
/// are kept ready, as for any log. It costs no thread, unless readers in other processes follow it, for whom there is one.
/// A partition that is not open costs its files, and some bytes of memory.
///
/// ```
/// use tidelog::{Options, PartitionOptions, SyncPolicy};
///
/// let dir = tempfile::tempdir()?;
/// let log = Options::new().segment_bytes(1 << 20).sync_policy(SyncPolicy::None);
/// let partitions = PartitionOptions::new().log(log).open_max(16).keyed(64).open(dir.path())?;
/// partitions.of_key(b"user-1")?.append(b"logged in")?;
/// partitions.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PartitionOptions {
    pub(super) log: Options,
    open_max: usize,
    descriptors_max: Option<usize>,
    mapped_bytes_max: Option<u64>,
    pub(super) sync_threads: usize,
    pub(super) keyed: Option<u32>,
}

impl Default for PartitionOptions {
    fn default() -> Self {
        Self {
            log: Options::new(),
            open_max: OPEN_DEFAULT,
            descriptors_max: None,
            mapped_bytes_max: None,
            sync_threads: SYNC_THREADS_DEFAULT,
            keyed: None,
        }
    }
}

impl PartitionOptions {
    /// The defaults: those of [`Options`] but for segments of 1 MiB, at most 256 partitions open at once, eight threads that
    /// sync, no keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What each partition is opened with. Its segment size is for partitions that are created: those that are there keep
    /// theirs. [`Partitions::get_with`] has others for one partition.
    #[must_use]
    pub fn log(mut self, options: Options) -> Self {
        self.log = options;
        self
    }

    /// At most so many partitions are open at once, 256 by default. To open one more, that which was asked for longest ago
    /// is closed, of those that nobody holds.
    #[must_use]
    pub fn open_max(mut self, partitions: usize) -> Self {
        self.open_max = partitions;
        self
    }

    /// As [`open_max`](Self::open_max), by the file descriptors that open partitions may take. The lower limit holds.
    #[must_use]
    pub fn descriptors_max(mut self, descriptors: usize) -> Self {
        self.descriptors_max = Some(descriptors);
        self
    }

    /// As [`open_max`](Self::open_max), by the bytes of segments that open partitions may keep mapped for themselves, by the
    /// segment size of [`log`](Self::log). Those are address space, and page cache as far as they are in use. The lower limit
    /// holds.
    #[must_use]
    pub fn mapped_bytes_max(mut self, bytes: u64) -> Self {
        self.mapped_bytes_max = Some(bytes);
        self
    }

    /// How many partitions are synced at the same time, 8 by default: by the background under `Periodic`, for tasks, and by
    /// [`Partitions::sync`] and [`Partitions::close`]. Threads that append durably sync for themselves, whatever this says.
    ///
    /// With 1 they are synced one after another, by one thread. Where a task's sync gathers in a window of `Grouped`, it keeps one of
    /// the threads for so long.
    #[must_use]
    pub fn sync_threads(mut self, threads: usize) -> Self {
        self.sync_threads = threads;
        self
    }

    /// Spreads keys over the partitions 0 to `count - 1`: see [`Partitions::of_key`]. The count is stored when the root is
    /// created and never changes, as keys would change their partition with it; opening with another one is an error.
    #[must_use]
    pub fn keyed(mut self, count: u32) -> Self {
        self.keyed = Some(count);
        self
    }

    /// Opens the partitions under `directory`, or creates the root for them. None of them is opened by that.
    ///
    /// # Errors
    /// * [`Locked`](crate::ErrorKind::Locked): somebody else has them open; the message has the pid.
    /// * [`InvalidOption`](crate::ErrorKind::InvalidOption): an option out of range, another `keyed` than the root's, or there
    ///   is a log in `directory` itself.
    /// * [`Corrupt`](crate::ErrorKind::Corrupt): the root's metadata are damaged. Nothing was changed.
    /// * [`StorageFull`](crate::ErrorKind::StorageFull), [`Io`](crate::ErrorKind::Io),
    ///   [`Unsupported`](crate::ErrorKind::Unsupported).
    pub fn open(&self, directory: impl AsRef<Path>) -> Result<Partitions> {
        Partitions::open(directory, self)
    }

    pub(super) fn validate(&self) -> Result<()> {
        let mut log = self.log.clone();
        log.is_partition = true;
        log.validate()?;
        let invalid = |what: String| Err(Error::invalid_option(what));
        if self.open_max_in_force() == 0 {
            return invalid(
                "open_max, descriptors_max and mapped_bytes_max leave room for no open partition; raise the lowest".into(),
            );
        }
        if !(1..=SYNC_THREADS_MAX).contains(&self.sync_threads) {
            let threads = self.sync_threads;
            return invalid(format!("sync_threads is {threads}; give 1 to {SYNC_THREADS_MAX}"));
        }
        if self.keyed == Some(0) {
            return invalid("keyed is 0; give the number of partitions that keys are spread over".into());
        }
        Ok(())
    }

    /// How many partitions may be open at once.
    pub(super) fn open_max_in_force(&self) -> usize {
        let mut log = self.log.clone();
        log.is_partition = true;
        // The lock, and the spares.
        let descriptors = log.spares_max().saturating_add(1);
        let by_descriptors = self.descriptors_max.map_or(usize::MAX, |most| most / descriptors);
        let segments = SEGMENTS_AHEAD + 1 + MAPPED_IDLE_PARTITION as u64;
        let bytes = segments.saturating_mul(log.new_segment_bytes().saturating_add(HEADER_BYTES));
        let by_bytes = self.mapped_bytes_max.map_or(usize::MAX, |most| {
            usize::try_from(most.checked_div(bytes).unwrap_or_default()).unwrap_or(usize::MAX)
        });
        self.open_max.min(by_descriptors).min(by_bytes)
    }
}
