//! The log in asynchronous programs: what waits is a future, and no runtime is needed.
//!
//! | Blocking | For tasks | Dropped before it is ready |
//! |---|---|---|
//! | [`append_nowait`](crate::Log::append_nowait) | [`append_async`](crate::Log::append_async), [`append_batch_async`](crate::Log::append_batch_async) | nothing was appended |
//! | `append` under `Grouped` | [`append_durable`](crate::Log::append_durable), [`append_batch_durable`](crate::Log::append_batch_durable) | may have been appended, and then stays |
//! | [`wait_durable`](crate::Log::wait_durable) | [`durable`](crate::Log::durable) | nothing is lost |
//! | [`Watcher::wait`](crate::Watcher::wait) | awaiting the [`Watcher`](crate::Watcher) | nothing is lost |
//! | [`Tail::next_pinned`](crate::Tail::next_pinned) | [`Tail::poll_next_pinned`](crate::Tail::poll_next_pinned); with the feature `futures` `Tail::into_stream` | nothing is lost |
//! | | with the feature `futures` [`Log::sink`](crate::Log) | see there |
//!
//! # Which calls block
//!
//! Under `None` and `Periodic` an append does not block, except where the next segment is not ready: that one case is
//! what `append_async` waits for as a future. Under `Grouped` and `Immediate` `append` waits for a sync, and has no place
//! on a thread that runs tasks; `append_durable` has, under every policy.
//!
//! A poll never waits for the device in order to sync. It copies a record into mapped memory, or reads and verifies
//! one, and so it may take a page fault as any access to memory may: for a follower far behind that can mean a read from the
//! device.
//!
//! [`Log::open`](crate::Log::open), [`close`](crate::Log::close), [`sync`](crate::Log::sync),
//! [`retire_before`](crate::Log::retire_before) and the drop of the last clone of a log block: they belong on a thread
//! for blocking work (`spawn_blocking`).
//!
//! # Group commit
//!
//! Tasks that wait at the same time are served by one sync, together with threads that wait. The syncs are carried
//! out by a thread of the log's, which is started when the first task waits, or by a thread that waits anyway.
//!
//! ```
//! # let dir = tempfile::tempdir()?;
//! # let log = tidelog::Options::new().segment_bytes(1 << 16).open(dir.path())?;
//! async fn handle(log: &tidelog::Log, request: &[u8]) -> tidelog::Result<u64> {
//!     let lsn = log.append_durable(request).await?; // shares its sync with the requests beside it
//!     Ok(lsn.get())
//! }
//! assert_eq!(pollster::block_on(handle(&log, b"first"))?, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it ends
//!
//! Closing the log makes everything durable, so futures that wait for that are ready; those that wait for room fail
//! with `Closed`. A failed sync poisons the log, and every future with it.

mod durable;
#[cfg(feature = "futures")]
mod stream;

pub use self::durable::Durable;
#[cfg(feature = "futures")]
pub use self::stream::TailStream;
#[cfg(feature = "futures")]
pub use crate::log::LogSink;
