//! The methods for tasks: they never wait on the thread that polls them.

use super::Log;
use crate::append::{Appended, BatchLsns, room_for, try_append, try_append_batch};
use crate::chain::Room;
use crate::error::{ErrorKind, Result};
use crate::future::Durable;
use crate::lsn::Lsn;
use crate::primitive::Arc;

impl Log {
    /// Appends a record, or fails where [`append_nowait`](Self::append_nowait) would wait: never blocks, under no policy.
    /// The record is published when this returns.
    ///
    /// # Errors
    /// * [`WouldBlock`](crate::ErrorKind::WouldBlock): the next segment is not ready. Nothing was appended. It was asked
    ///   for; [`append_async`](Self::append_async) and `append` tell when it cannot be made.
    /// * [`TooLarge`](crate::ErrorKind::TooLarge), [`Closed`](crate::ErrorKind::Closed),
    ///   [`Poisoned`](crate::ErrorKind::Poisoned): as [`append`](Self::append).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// let lsn = loop {
    ///     match log.try_append(b"from a loop that must not block") {
    ///         Err(error) if error.kind() == tidelog::ErrorKind::WouldBlock => continue, // do something else meanwhile
    ///         outcome => break outcome?,
    ///     }
    /// };
    /// assert!(log.watermarks().published > lsn);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_append(&self, payload: &[u8]) -> Result<Lsn> {
        try_append(&self.inner.chain, payload).map(|appended| Lsn::new(appended.lsn))
    }

    /// Appends a record when there is room, and is ready when it is published, under every policy: the form of
    /// [`append_nowait`](Self::append_nowait) for tasks. It waits for nothing but the next segment, and then as a future.
    ///
    /// **Cancel safety.** The record is appended in the poll that gives its LSN, and not before: dropped earlier, nothing was
    /// appended.
    ///
    /// # Errors
    /// As [`append`](Self::append), but never `WouldDeadlock`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// # pollster::block_on(async {
    /// let mut last = tidelog::Lsn::ZERO;
    /// for n in 0..10_000_u32 {
    ///     last = log.append_async(&n.to_le_bytes()).await?; // published
    /// }
    /// log.durable(last).await?; // one sync for many
    /// # Ok::<(), tidelog::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn append_async(&self, payload: &[u8]) -> Result<Lsn> {
        self.appended(payload).await.map(|appended| Lsn::new(appended.lsn))
    }

    /// The same for a batch, which is appended as a whole or not at all: as [`append_batch`](Self::append_batch), but ready
    /// when it is published.
    ///
    /// **Cancel safety.** As [`append_async`](Self::append_async): dropped before it was ready, nothing was appended.
    ///
    /// # Errors
    /// As [`append_batch`](Self::append_batch), but never `WouldDeadlock`.
    pub async fn append_batch_async<'a, T: AsRef<[u8]>>(&self, records: &'a [T]) -> Result<BatchLsns<'a, T>> {
        let appended = self.batch_appended(records).await?;
        Ok(appended.map_or(BatchLsns::new(0, &[]), |appended| BatchLsns::new(appended.lsn, records)))
    }

    /// Appends a record, and is ready with its LSN when it is durable, under every policy. Tasks and threads that wait at
    /// the same time share syncs. See [`durable`](Self::durable) for who syncs, and when.
    ///
    /// **Cancel safety.** Nothing is appended before the first poll. Dropped after that, the record may have been appended,
    /// and then it stays: whoever needs to know uses [`append_async`](Self::append_async), and then `durable`.
    ///
    /// # Errors
    /// As [`append`](Self::append), but never `WouldDeadlock`; [`Io`](crate::ErrorKind::Io) also when the thread that syncs
    /// cannot be started, and then the record was appended.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// # pollster::block_on(async {
    /// let lsn = log.append_durable(b"durable when this is ready").await?;
    /// assert!(log.watermarks().durable > lsn);
    /// # Ok::<(), tidelog::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn append_durable(&self, payload: &[u8]) -> Result<Lsn> {
        let lsn = Lsn::new(self.appended(payload).await?.lsn);
        self.durable(lsn).await?;
        Ok(lsn)
    }

    /// The same for a batch, which becomes durable as a whole.
    ///
    /// **Cancel safety.** As [`append_durable`](Self::append_durable): dropped after the first poll, all of the batch may have
    /// been appended, or none of it.
    ///
    /// # Errors
    /// As [`append_batch`](Self::append_batch) and [`append_durable`](Self::append_durable).
    pub async fn append_batch_durable<'a, T: AsRef<[u8]>>(
        &self,
        records: &'a [T],
    ) -> Result<BatchLsns<'a, T>> {
        let Some(appended) = self.batch_appended(records).await? else {
            return Ok(BatchLsns::new(0, &[]));
        };
        self.durable(Lsn::new(appended.lsn)).await?;
        Ok(BatchLsns::new(appended.lsn, records))
    }

    /// A future that is ready when the record at `lsn` and everything before it is durable: the form of
    /// [`wait_durable`](Self::wait_durable) for tasks. It borrows nothing, and does not keep the log open.
    ///
    /// Under `Periodic` that is after the next sync that is due. Under the other policies a thread of the log's own,
    /// which is started when the first such future waits, carries out a sync for all tasks that wait, by the policy's way
    /// of gathering, and threads that wait share it.
    ///
    /// **Cancel safety.** It appends nothing and loses nothing: dropped at any time, it can be made anew.
    ///
    /// # Errors
    /// * [`NotWritten`](crate::ErrorKind::NotWritten): nothing was appended there yet.
    /// * [`Poisoned`](crate::ErrorKind::Poisoned): a sync failed before this was durable.
    /// * [`Io`](crate::ErrorKind::Io): the thread that syncs cannot be started.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// let lsn = log.append_nowait(b"published")?;
    /// let durable = log.durable(lsn);
    /// pollster::block_on(durable)?;
    /// assert!(log.watermarks().durable > lsn);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn durable(&self, lsn: Lsn) -> Durable {
        Durable::new(Arc::clone(&self.inner.deputy), lsn)
    }

    async fn appended(&self, payload: &[u8]) -> Result<Appended> {
        let chain = &self.inner.chain;
        loop {
            match try_append(chain, payload) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
            Room::new(chain, room_for(chain, &[payload])).await?;
        }
    }

    async fn batch_appended<T: AsRef<[u8]>>(&self, records: &[T]) -> Result<Option<Appended>> {
        let chain = &self.inner.chain;
        loop {
            match try_append_batch(chain, records) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
            Room::new(chain, room_for(chain, records)).await?;
        }
    }
}
