//! Following the log as a stream.

use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use crate::error::Result;
use crate::record::PinnedRecord;
use crate::tail::Tail;

/// After so many records without waiting, the other tasks of the thread have a turn.
const TURN: u32 = 256;

/// The records that a [`Tail`] follows, as a stream: it waits for each. It ends when the log has ended and everything was
/// read, or after an error. From [`Tail::into_stream`].
///
/// A record that is given keeps its segment mapped, and on disk, until it is dropped. After 256 records that were there
/// already it lets the other tasks of the thread have a turn.
///
/// **Cancel safety.** Whoever stops waiting for the next record loses none: it is given by the next poll.
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct TailStream {
    tail: Option<Tail>,
    left: u32,
}

impl Tail {
    /// The records as a stream. With the feature `futures`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
    /// use futures_util::TryStreamExt;
    /// use tidelog::Lsn;
    ///
    /// log.append(b"one")?;
    /// let mut stream = log.tail_durable(Lsn::ZERO)?.into_stream();
    /// # pollster::block_on(async {
    /// log.append_durable(b"two").await?;
    /// assert_eq!(stream.try_next().await?.unwrap().payload(), b"one");
    /// assert_eq!(stream.try_next().await?.unwrap().payload(), b"two");
    /// log.close()?; // (blocks)
    /// assert!(stream.try_next().await?.is_none());
    /// # Ok::<(), tidelog::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_stream(self) -> TailStream {
        TailStream { tail: Some(self), left: TURN }
    }
}

impl TailStream {
    /// The tail, unless the stream has ended. It goes on behind the last record that was given.
    #[must_use]
    pub fn into_tail(self) -> Option<Tail> {
        self.tail
    }
}

impl Stream for TailStream {
    type Item = Result<PinnedRecord>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { tail, left } = &mut *self;
        let Some(following) = tail else { return Poll::Ready(None) };
        if *left == 0 {
            *left = TURN;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Poll::Ready(item) = following.poll_next_pinned(context) else {
            *left = TURN;
            return Poll::Pending;
        };
        *left -= 1;
        if !matches!(item, Ok(Some(_))) {
            *tail = None;
        }
        Poll::Ready(item.transpose())
    }
}

impl FusedStream for TailStream {
    fn is_terminated(&self) -> bool {
        self.tail.is_none()
    }
}
