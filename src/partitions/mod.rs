//! Many logs under one root.

mod inner;
mod options;
mod root;
mod table;
mod together;

use core::fmt;
use std::path::Path;

pub use self::options::PartitionOptions;

use self::inner::Inner;
use self::table::Table;
use crate::crew::{Crew, Crews};
use crate::error::{Error, Result};
use crate::format::root::partition_of_key;
use crate::log::Log;
use crate::options::Options;
use crate::primitive::{Condvar, Mutex};
use crate::reentry::refuse_inside_claim;
use crate::storage::Directory;

/// Many logs under one directory: each a [`Log`] of its own, with its own LSNs, files and lock, but without threads of its
/// own. One thread prepares segments for all of them, and a few sync.
///
/// A partition has a number for its name, and is opened when it is first asked for; then [`get`](Self::get) gives the `Log`.
/// As many stay open as the options allow: when one more is to be opened, the one that was asked for longest ago is closed,
/// of those that nobody holds. So hold on to a `Log` for as long as it is in use. Futures, tails, snapshots and records do
/// not hold it; a [`Cursor`](crate::Cursor) does. Each of the guarantees holds for each partition, and nothing holds over
/// several: there is no order between them, and no batch over two.
///
/// What happens to one is nobody else's: one that is poisoned, or whose disk is full, or in whose upkeep there is a panic,
/// fails alone. It is recovered and goes on when nobody holds it any more and it is asked for again. Only what blocks in the
/// operating system is shared: a device that hangs holds up the thread that prepares for all.
///
/// One process at a time has the root open. [`LogReader::open`](crate::LogReader::open) reads a partition's directory as any
/// log's, from any process. Clones are the same partitions. When they are closed, or the last clone is dropped, every
/// partition is closed for everybody who still holds its `Log`.
///
/// ```
/// use tidelog::{PartitionOptions, Partitions};
///
/// let dir = tempfile::tempdir()?;
/// let partitions = Partitions::open(dir.path(), &PartitionOptions::new().keyed(16))?;
/// let lsn = partitions.get(7)?.append(b"durable when this returns")?;
/// assert_eq!(partitions.get(7)?.read(lsn)?.payload(), b"durable when this returns");
///
/// let log = partitions.of_key(b"user-1")?; // the same partition each time, for ever
/// log.append_nowait(b"published")?;
/// partitions.sync()?; // all that is not durable yet
///
/// partitions.remove(7)?; // there before a crash, or gone after it; never half
/// assert_eq!(partitions.ids()?, [11]);
/// partitions.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Partitions {
    inner: std::sync::Arc<Inner>,
}

impl Partitions {
    /// Opens the partitions under `directory`, or creates the root for them.
    ///
    /// # Errors
    /// As [`PartitionOptions::open`].
    pub fn open(directory: impl AsRef<Path>, options: &PartitionOptions) -> Result<Self> {
        options.validate()?;
        let log = &options.log;
        let directory = Directory::lock_for_writing(log.storage(), directory.as_ref(), log.any_file_system)?;
        let root = root::settle(&directory, options.keyed)?;
        let ids = root::survey(&directory)?;
        let crews = if directory.has_threads() {
            let start = |name, threads| Crew::start(name, threads, directory.path()).map(std::sync::Arc::new);
            let keepers = start("tidelog-keeper", 1)?;
            let syncers = start("tidelog-syncer", options.sync_threads).inspect_err(|_| keepers.stop())?;
            Some(Crews { keepers, syncers })
        } else {
            None
        };
        let inner = Inner {
            directory,
            open_max: options.open_max_in_force(),
            options: options.clone(),
            keyed: root.keyed,
            crews,
            owner: std::process::id(),
            table: Mutex::new(Table { ids, ..Table::default() }),
            changed: Condvar::new(),
            outcome: Mutex::new(None),
        };
        Ok(Self { inner: std::sync::Arc::new(inner) })
    }

    /// The partition with this number: opened if it is not open, created if it is not there. A new one is there durably when
    /// this returns.
    ///
    /// # Errors
    /// * [`TooManyOpen`](crate::ErrorKind::TooManyOpen): as many are open as may be, and somebody holds each of them.
    /// * [`Closed`](crate::ErrorKind::Closed): the partitions were closed.
    /// * [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock): it is not open, inside a closure of `append_with`.
    /// * As [`Options::open`], for this partition: the others are as they were.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// use tidelog::{ErrorKind, PartitionOptions};
    ///
    /// let partitions = PartitionOptions::new().open_max(1).open(dir.path())?;
    /// let held = partitions.get(1)?;
    /// assert_eq!(partitions.get(2).unwrap_err().kind(), ErrorKind::TooManyOpen);
    /// drop(held);
    /// partitions.get(2)?; // closes the first one
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(&self, id: u64) -> Result<Log> {
        self.inner.obtain(id, true, None)
    }

    /// The same, but a partition that is not there is an error.
    ///
    /// # Errors
    /// As [`get`](Self::get), and [`NotFound`](crate::ErrorKind::NotFound).
    pub fn get_existing(&self, id: u64) -> Result<Log> {
        self.inner.obtain(id, false, None)
    }

    /// As [`get`](Self::get); if it has to be opened for that, then with these options in place of
    /// [`PartitionOptions::log`]. They are not stored: the next opening of the partition has its own.
    ///
    /// # Errors
    /// As [`get`](Self::get). That the segment size is another than the partition's is no error: it keeps its own.
    pub fn get_with(&self, id: u64, options: &Options) -> Result<Log> {
        self.inner.obtain(id, true, Some(options))
    }

    /// The partition that a key belongs to, opened or created as by [`get`](Self::get): see
    /// [`id_of_key`](Self::id_of_key).
    ///
    /// # Errors
    /// As [`get`](Self::get) and [`id_of_key`](Self::id_of_key).
    pub fn of_key(&self, key: &[u8]) -> Result<Log> {
        self.get(self.id_of_key(key)?)
    }

    /// The number of the partition that a key belongs to, below [`PartitionOptions::keyed`]. It is the same in every version
    /// of this crate; `docs/FORMAT.md` has the formula.
    ///
    /// # Errors
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption): the root was created without `keyed`.
    pub fn id_of_key(&self, key: &[u8]) -> Result<u64> {
        match self.inner.keyed {
            0 => Err(Error::invalid_option(
                "the root was created without PartitionOptions::keyed, so keys belong nowhere; create another with it",
            )),
            count => Ok(partition_of_key(key, count)),
        }
    }

    /// The numbers of the partitions that are there, ascending, open or not. (A creation that a crash cut short may count:
    /// such a partition is empty.)
    ///
    /// # Errors
    /// [`Forked`](crate::ErrorKind::Forked).
    pub fn ids(&self) -> Result<Vec<u64>> {
        Ok(self.inner.lock_table()?.ids.iter().copied().collect())
    }

    /// How many partitions are open.
    ///
    /// # Errors
    /// [`Forked`](crate::ErrorKind::Forked).
    pub fn open_count(&self) -> Result<usize> {
        Ok(self.inner.lock_table()?.open_logs().count())
    }

    /// Drops a partition with all that is in it. It is closed first, for everybody who holds its `Log`; what snapshots and
    /// records of this process hold stays readable. When this returns it is gone for good; should the machine crash before,
    /// it is there as a whole, or gone as a whole. Its number is free: asked for again, it is a new and empty partition,
    /// whose LSNs begin anew.
    ///
    /// # Errors
    /// * [`NotFound`](crate::ErrorKind::NotFound): it is not there.
    /// * [`Locked`](crate::ErrorKind::Locked): somebody opened it as a log, past these partitions.
    /// * [`Io`](crate::ErrorKind::Io), [`StorageFull`](crate::ErrorKind::StorageFull): it is still there. (That a file of it
    ///   cannot be removed is no error; the next opening of the partitions tries again.)
    /// * [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock) inside a closure of `append_with`.
    pub fn remove(&self, id: u64) -> Result<()> {
        self.inner.remove(id)
    }

    /// Makes everything durable that was appended to any partition before this call, several partitions at a time
    /// ([`PartitionOptions::sync_threads`]). Those in which everything is durable cost nothing.
    ///
    /// # Errors
    /// The first failure; the others were synced all the same. Also once that of a partition that could not be made durable
    /// when it was closed to make room for another, since this was last called.
    /// [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock) inside a closure of `append_with`.
    pub fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    /// Where they lie, as an absolute path.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.inner.directory.path()
    }

    /// Closes all partitions, for everybody who holds one, and gives the root up. See [`Log::close`].
    ///
    /// # Errors
    /// As [`sync`](Self::sync) and [`Log::close`]: the first failure; the others were closed all the same. Closing again gives
    /// the same outcome.
    pub fn close(&self) -> Result<()> {
        refuse_inside_claim()?;
        self.inner.refuse_in_child()?;
        self.inner.close()
    }
}

impl fmt::Debug for Partitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partitions")
            .field("directory", &self.directory())
            .field("open_max", &self.inner.open_max)
            .field("keyed", &self.inner.keyed)
            .finish_non_exhaustive()
    }
}
