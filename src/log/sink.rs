//! Appending as a sink.

use core::fmt;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_sink::Sink;

use super::Log;
use crate::append::{room_for, try_append};
use crate::chain::Turn;
use crate::error::{Error, ErrorKind, Result};
use crate::future::Durable;
use crate::lsn::Lsn;

/// Appends what is sent; flushing it means durable. From [`Log::sink`].
///
/// A record is appended, and published, when it is sent. Only where the next segment is not ready it is kept, one at
/// most, until there is room; then the sink is not ready for the next one. `flush` appends what is kept and waits until
/// everything that was sent is durable, as [`Log::durable`] does. `close` flushes, and leaves the log open. The records of
/// one sink stand in the log in the order in which they were sent.
///
/// It keeps the log open, as a clone does.
///
/// **Cancel safety.** Whoever stops waiting for `flush` or `close` loses nothing: records that were sent stay appended, one
/// that is kept stays kept, and the next poll goes on. Dropping the sink drops one that is kept.
///
/// **After an error** nothing is kept. `TooLarge` and `StorageFull` concern one record, and the sink goes on; `Closed` and
/// `Poisoned` come again and again.
#[must_use = "a sink does nothing unless something is sent"]
pub struct LogSink<T> {
    log: Log,
    /// What there was no room for.
    kept: Option<T>,
    turn: Turn,
    /// The last record that is not known to be durable.
    last: Option<Lsn>,
    flushing: Option<Durable>,
    records: PhantomData<fn(T)>,
}

// Nothing in it is ever pinned.
impl<T> Unpin for LogSink<T> {}

impl Log {
    /// A sink that appends. With the feature `futures`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// use futures_util::SinkExt;
    ///
    /// let mut sink = log.sink();
    /// # pollster::block_on(async {
    /// sink.feed("published").await?;
    /// sink.send("durable, both").await?;
    /// assert_eq!(log.watermarks().durable, log.watermarks().published);
    /// # Ok::<(), tidelog::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sink<T: AsRef<[u8]>>(&self) -> LogSink<T> {
        LogSink {
            log: self.clone(),
            kept: None,
            turn: Turn::default(),
            last: None,
            flushing: None,
            records: PhantomData,
        }
    }
}

impl<T> LogSink<T> {
    /// The last record that was appended and that no flush has made durable.
    #[must_use]
    pub fn unflushed(&self) -> Option<Lsn> {
        self.last
    }

    fn appended(&mut self, lsn: u64) {
        self.last = Some(Lsn::new(lsn));
        self.flushing = None;
    }
}

impl<T: AsRef<[u8]>> LogSink<T> {
    /// Ready when nothing is kept.
    fn poll_kept(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        while let Some(kept) = &self.kept {
            let chain = &self.log.inner.chain;
            match try_append(chain, kept.as_ref()) {
                Ok(appended) => {
                    self.kept = None;
                    self.appended(appended.lsn);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let bytes = room_for(chain, &[kept]);
                    let room = ready!(chain.poll_room(&mut self.turn, bytes, context.waker()));
                    if let Err(error) = room {
                        self.kept = None;
                        return Poll::Ready(Err(error));
                    }
                }
                Err(error) => {
                    self.kept = None;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsRef<[u8]>> Sink<T> for LogSink<T> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_kept(context)
    }

    fn start_send(mut self: Pin<&mut Self>, item: T) -> Result<()> {
        if self.kept.is_some() {
            return Err(Error::invalid_option(
                "the sink was not ready for another record; wait for poll_ready before each start_send",
            ));
        }
        match try_append(&self.log.inner.chain, item.as_ref()) {
            Ok(appended) => self.appended(appended.lsn),
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.kept = Some(item),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_kept(context))?;
        let Some(last) = self.last else { return Poll::Ready(Ok(())) };
        let this = &mut *self;
        let flushing = this.flushing.get_or_insert_with(|| this.log.durable(last));
        ready!(Pin::new(flushing).poll(context))?;
        (this.last, this.flushing) = (None, None);
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_flush(context)
    }
}

impl<T> Drop for LogSink<T> {
    fn drop(&mut self) {
        self.log.inner.chain.leave_room(&mut self.turn);
    }
}

impl<T> fmt::Debug for LogSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogSink").field("log", &self.log).field("unflushed", &self.last).finish()
    }
}
