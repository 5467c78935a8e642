//! How partitions are opened, closed, dropped and synced: their slots are busy meanwhile, and no lock is held.

use super::table::{Look, Slot, Table};
use super::{PartitionOptions, root, together};
use crate::crew::Crews;
use crate::error::{Error, Result};
use crate::format::name;
use crate::log::Log;
use crate::options::Options;
use crate::primitive::{Condvar, Mutex, MutexGuard, lock, wait};
use crate::reentry::refuse_inside_claim;
use crate::storage::Directory;

/// What the clones of partitions share.
pub(super) struct Inner {
    pub(super) directory: Directory,
    pub(super) options: PartitionOptions,
    pub(super) open_max: usize,
    pub(super) keyed: u32,
    /// None on a simulated disk without threads.
    pub(super) crews: Option<Crews>,
    /// The process that opened them.
    pub(super) owner: u32,
    pub(super) table: Mutex<Table>,
    /// A slot is not busy any more, or work on open logs is done.
    pub(super) changed: Condvar,
    pub(super) outcome: Mutex<Option<Result<()>>>,
}

impl Inner {
    pub(super) fn refuse_in_child(&self) -> Result<()> {
        if std::process::id() == self.owner { Ok(()) } else { Err(Error::forked()) }
    }

    /// In a forked child, whoever held the lock is not there to give it up.
    pub(super) fn lock_table(&self) -> Result<MutexGuard<'_, Table>> {
        self.refuse_in_child()?;
        Ok(lock(&self.table))
    }

    pub(super) fn obtain(&self, id: u64, create: bool, options: Option<&Options>) -> Result<Log> {
        let mut table = self.lock_table()?;
        loop {
            table.refuse_closed()?;
            let look = table.look(id);
            if let Look::Open(log) = look {
                return Ok(log);
            }
            if let Err(error) = refuse_inside_claim() {
                if let Look::Over(log) = look {
                    table.put(id, log);
                }
                return Err(error);
            }
            match look {
                Look::Busy => table = wait(&self.changed, table),
                Look::Over(log) => {
                    drop(table);
                    self.put_away(id, &log);
                    table = lock(&self.table);
                }
                _ if !create && !table.ids.contains(&id) => {
                    return Err(Error::no_partition(id, self.directory.path()));
                }
                _ if table.slots.len() < self.open_max => break,
                _ => table = self.make_room(table, id)?,
            }
        }
        table.slots.insert(id, Slot::Busy);
        drop(table);
        let opened = self.open_log(id, options.unwrap_or(&self.options.log));
        let mut table = lock(&self.table);
        match &opened {
            Ok(log) => {
                table.put(id, log.clone());
                table.ids.insert(id);
            }
            Err(_) => {
                table.slots.remove(&id);
            }
        }
        drop(table);
        self.changed.notify_all();
        opened
    }

    /// Closes the partition that nobody has needed for longest, or waits for one that may be idle soon.
    fn make_room<'a>(&'a self, mut table: MutexGuard<'a, Table>, id: u64) -> Result<MutexGuard<'a, Table>> {
        if let Some((idle, log)) = table.take_idlest() {
            drop(table);
            self.put_away(idle, &log);
            drop(log);
            return Ok(lock(&self.table));
        }
        if table.will_change() {
            return Ok(wait(&self.changed, table));
        }
        Err(Error::too_many_open(id, self.open_max, &root::path_of(&self.directory, id)))
    }

    /// Closes a log whose slot is busy for that, and frees the slot.
    fn put_away(&self, id: u64, log: &Log) {
        // Its user has been told, where it was he who closed it.
        let told = log.is_finished();
        let outcome = log.close();
        let mut table = lock(&self.table);
        table.slots.remove(&id);
        if let (Err(error), false) = (outcome, told) {
            table.lost.get_or_insert(error);
        }
        drop(table);
        self.changed.notify_all();
    }

    fn open_log(&self, id: u64, options: &Options) -> Result<Log> {
        let path = root::path_of(&self.directory, id);
        let mut options = options.clone();
        options.is_partition = true;
        options.crews.clone_from(&self.crews);
        // As wherever the others lie.
        #[cfg(feature = "testing")]
        options.disk.clone_from(&self.options.log.disk);
        let there = self.directory.storage().has_name(&path.join(name::META));
        if there.map_err(|error| Error::io("cannot look into the partition", &path, error))? {
            options.segment_bytes = None;
        }
        options.open(&path)
    }

    pub(super) fn remove(&self, id: u64) -> Result<()> {
        refuse_inside_claim()?;
        let mut table = self.lock_table()?;
        let log = loop {
            table.refuse_closed()?;
            match table.look(id) {
                Look::Busy => table = wait(&self.changed, table),
                Look::Open(log) | Look::Over(log) => break Some(log),
                Look::Closed if table.ids.contains(&id) => break None,
                Look::Closed => return Err(Error::no_partition(id, self.directory.path())),
            }
        };
        table.slots.insert(id, Slot::Busy);
        drop(table);
        if let Some(log) = log {
            // It need not be made durable, and that it could not be is of no account.
            let _ = log.close();
        }
        let outcome = root::remove(&self.directory, id, self.options.log.any_file_system);
        let mut table = lock(&self.table);
        table.slots.remove(&id);
        if outcome.is_ok() {
            table.ids.remove(&id);
        }
        drop(table);
        self.changed.notify_all();
        outcome
    }

    pub(super) fn sync(&self) -> Result<()> {
        refuse_inside_claim()?;
        let mut table = self.lock_table()?;
        table.refuse_closed()?;
        // One that is being closed is made durable by that, and by nobody sooner.
        let mut busy = table.busy();
        while !busy.is_empty() {
            table = wait(&self.changed, table);
            let still = table.busy();
            busy.retain(|id| still.contains(id));
        }
        let dirty: Vec<Log> = table.open_logs().filter(|log| log.is_dirty()).cloned().collect();
        table.at_work += 1;
        drop(table);
        let synced = together::all(&dirty, self.options.sync_threads, Log::sync);
        drop(dirty);
        let mut table = lock(&self.table);
        table.at_work -= 1;
        let lost = table.lost.take();
        drop(table);
        self.changed.notify_all();
        lost.map_or(synced, Err)
    }

    pub(super) fn close(&self) -> Result<()> {
        let mut outcome = lock(&self.outcome);
        if let Some(outcome) = &*outcome {
            return outcome.clone();
        }
        let mut table = lock(&self.table);
        table.closed = true;
        while table.will_change() {
            table = wait(&self.changed, table);
        }
        let logs: Vec<Log> = table.open_logs().cloned().collect();
        table.slots.clear();
        let lost = table.lost.take();
        drop(table);
        let closed = together::all(&logs, self.options.sync_threads, Log::close);
        drop(logs);
        if let Some(Crews { keepers, syncers }) = &self.crews {
            keepers.stop();
            syncers.stop();
        }
        self.directory.give_up();
        let done = lost.map_or(closed, Err);
        *outcome = Some(done.clone());
        done
    }

    /// In a forked child: nothing of this is its to end.
    fn abandon(&self) {
        if let Some(Crews { keepers, syncers }) = &self.crews {
            keepers.abandon();
            syncers.abandon();
        }
        self.directory.abandon();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if std::process::id() == self.owner {
            // Nobody is left to be told; `close` is for those who want to know.
            let _ = self.close();
        } else {
            self.abandon();
        }
    }
}
