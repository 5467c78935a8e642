//! A thread that carries out syncs for tasks, which must not wait for one.

use core::mem::ManuallyDrop;
use std::sync::{OnceLock, PoisonError};
use std::thread::JoinHandle;

use super::{Syncer, go_on};
use crate::crew::Bell;
use crate::error::{Error, Result};
use crate::policy::SyncPolicy;
use crate::primitive::{Arc, AtomicU64, Mutex, Ordering, lock};
use crate::reentry::refuse_inside_claim;

/// Leads for tasks. Its thread is started when the first task waits for a sync, so that a log without tasks has none.
#[derive(Debug)]
pub(crate) struct Deputy {
    syncer: Arc<Syncer>,
    /// 1 when there is nothing to start any more.
    called: AtomicU64,
    stage: Mutex<Stage>,
    /// There are no threads: whoever asks syncs.
    inline: bool,
    /// A thread that many logs share does it.
    bell: OnceLock<Bell>,
}

#[derive(Debug)]
enum Stage {
    /// No task has waited.
    Unborn,
    Running(JoinHandle<()>),
    Dismissed,
}

impl Deputy {
    pub(crate) fn new(syncer: Arc<Syncer>, has_threads: bool) -> Self {
        let (called, stage) = (AtomicU64::new(0), Mutex::new(Stage::Unborn));
        Self { syncer, called, stage, inline: !has_threads, bell: OnceLock::new() }
    }

    /// From now on whoever hears `bell` leads.
    pub(crate) fn call_by(&self, bell: Bell) {
        let _ = self.bell.set(bell);
    }

    /// A task has registered that is not served yet.
    pub(crate) fn nudge(&self) {
        // (Under `Periodic` it is served when the policy has its turn.)
        if let Some(bell) = self.bell.get()
            && !matches!(self.syncer.policy, SyncPolicy::Periodic { .. })
        {
            bell.ring();
        }
    }

    pub(crate) fn syncer(&self) -> &Syncer {
        &self.syncer
    }

    /// Sees that somebody syncs for tasks: under `Periodic` it is the policy's thread.
    ///
    /// # Errors
    /// `Io`: the thread could not be started.
    pub(crate) fn call(&self, position: u64) -> Result<()> {
        if self.inline {
            refuse_inside_claim()?;
            return self.syncer.make_durable(position + 1);
        }
        if self.bell.get().is_some() {
            return Ok(());
        }
        // Relaxed: a hint. What the thread is to do is handed over under the lock of the durable watermark.
        if self.called.load(Ordering::Relaxed) != 0 {
            return Ok(());
        }
        let mut stage = lock(&self.stage);
        if matches!(*stage, Stage::Unborn) && !matches!(self.syncer.policy, SyncPolicy::Periodic { .. }) {
            let syncer = Arc::clone(&self.syncer);
            let thread =
                std::thread::Builder::new().name("tidelog-syncer".to_owned()).spawn(move || run(&syncer));
            let path = self.syncer.directory.path();
            *stage = Stage::Running(thread.map_err(|error| Error::io("cannot start a thread", path, error))?);
        }
        self.called.store(1, Ordering::Relaxed);
        Ok(())
    }

    /// Ends the thread. What tasks still wait for is for the one who closes the log.
    pub(crate) fn dismiss(&self) {
        let stage = core::mem::replace(&mut *lock(&self.stage), Stage::Dismissed);
        self.syncer.chain.durability.dismiss();
        if let Stage::Running(thread) = stage {
            // A thread that panicked has told so by itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Deputy {
    fn drop(&mut self) {
        if self.syncer.chain.is_inherited() {
            // In a forked child the thread is not here to be let go of.
            let stage = self.stage.get_mut().unwrap_or_else(PoisonError::into_inner);
            let _never_dropped = ManuallyDrop::new(core::mem::replace(stage, Stage::Dismissed));
        }
    }
}

fn run(syncer: &Syncer) {
    while let Some(position) = syncer.chain.durability.next_errand() {
        if go_on(|| syncer.make_durable(position)).is_err() {
            // Poisoned: everybody was told, and nobody registers any more.
            break;
        }
    }
}
