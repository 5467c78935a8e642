//! The page by which readers in other processes are woken: `log.signal`. What changes in it are words in the
//! machine's byte order, by which nothing is kept: they mean something only while processes have the page mapped.

use crate::limits::SIGNAL_BYTES;

/// Begins the page.
const MAGIC: [u8; 8] = *b"TIDESIGN";
const VERSION: u32 = 1;
/// Bytes of what does not change.
pub(crate) const HEAD_BYTES: usize = 32;

// The writer's words, and in another cache line the readers'.

/// How often the writer's process has told that it is worth a look.
pub(crate) const TOLD: usize = 64;
/// The last question that it has answered.
pub(crate) const ANSWERED: usize = 72;
/// How far the log is durable.
pub(crate) const DURABLE: usize = 80;
/// How many questions readers have asked.
pub(crate) const ASKED: usize = 128;
/// The lowest position at which a reader waits for something to be published, of those who have asked since the writer's
/// process looked.
pub(crate) const PUBLISHED_FROM: usize = 136;
/// The same for something durable.
pub(crate) const DURABLE_FROM: usize = 144;
const _: () = assert!(DURABLE_FROM < SIGNAL_BYTES);

/// What the page of this log begins with.
pub(crate) fn head(log_id: [u8; 16]) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    let fields = MAGIC.into_iter().chain(VERSION.to_le_bytes()).chain([0; 4]).chain(log_id);
    for (byte, field) in head.iter_mut().zip(fields) {
        *byte = field;
    }
    head
}
