//! Every bound of the format and of the running log, in one place. Sizes are in bytes.

/// Size of the page that begins every segment file.
pub(crate) const HEADER_BYTES: u64 = 4096;

/// The unit in which a frame tells how far durability lagged behind it.
pub(crate) const LAG_UNIT_BYTES: u64 = 4096;

/// Frames begin and end at multiples of this.
pub(crate) const FRAME_ALIGN: u64 = 8;

/// Header of a frame: one word and one checksum.
pub(crate) const FRAME_HEADER_BYTES: u64 = 16;

/// Smallest segment that can be asked for.
pub(crate) const SEGMENT_BYTES_MIN: u64 = 64 << 10;

/// Smallest segment that is read: simulated disks are explored faster with less.
pub(crate) const SEGMENT_BYTES_LEAST: u64 =
    if cfg!(feature = "testing") { 4 << 10 } else { SEGMENT_BYTES_MIN };

/// Largest segment that can be asked for.
pub(crate) const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// Size of a segment unless another is asked for.
pub(crate) const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;

/// The same for a partition, of which there may be thousands.
pub(crate) const SEGMENT_BYTES_PARTITION: u64 = 1 << 20;

/// A claim takes at most this fraction of a segment, so that a roll wastes little. (More of loom's segments,
/// which hold two records.)
pub(crate) const CLAIM_FRACTION: u64 = if cfg!(tidelog_loom) { 2 } else { 4 };

/// No claim is larger, so that the way back inside a batch fits its field.
pub(crate) const CLAIM_BYTES_MAX: u64 = 128 << 20;

/// The largest claim in segments of this size.
pub(crate) const fn claim_max(segment_bytes: u64) -> u64 {
    let fraction = segment_bytes / CLAIM_FRACTION;
    if fraction < CLAIM_BYTES_MAX { fraction } else { CLAIM_BYTES_MAX }
}

/// Under the policies that wait, claims of this size and more are written through the file and not through its mapping:
/// from here on that costs less (measured at 4 to 100 KiB).
pub(crate) const THROUGH_FILE_BYTES: u64 = 16 << 10;

/// The same for segments of this size; small ones exist in tests, and have large claims too.
pub(crate) const fn through_file_min(segment_bytes: u64) -> u64 {
    let fraction = segment_bytes / 8;
    if fraction < THROUGH_FILE_BYTES { fraction } else { THROUGH_FILE_BYTES }
}

/// Slots of the ring: how many segments may be between the oldest unpublished claim and the newest prepared one.
/// At least two: a claim that straddles holds its first part while it waits for the segment of its second.
pub(crate) const RING_SLOTS: u64 = if cfg!(tidelog_loom) {
    2
} else if cfg!(tidelog_shuttle) {
    4
} else {
    8
};
const _: () = assert!(RING_SLOTS >= 2);

/// Segments of one log that stay mapped although nobody holds them, so that they need not be mapped again.
pub(crate) const MAPPED_IDLE_MAX: usize = 4096;

/// Segments of one log that are mapped at once for reading, so that readers leave some of the process' mappings to its
/// writers: Linux allows 65,530 unless it is told otherwise.
pub(crate) const MAPPED_MAX: usize = 32_768;

/// The same for a partition, beside those that it is about to write to.
pub(crate) const MAPPED_IDLE_PARTITION: usize = 4;

/// Segments kept ready beyond the one that is being written.
pub(crate) const SEGMENTS_AHEAD: u64 = 2;

/// Segments that the background retires together while the log grows fast: one update of `log.meta` for all of them.
pub(crate) const RETIRED_TOGETHER: u64 = 4;

/// Longest name of a cursor, in bytes.
pub(crate) const CURSOR_NAME_MAX: usize = 64;

/// Positions stay below this, so that the closed bit and every sum of a position and a size stay apart.
pub(crate) const POSITION_MAX: u64 = 1 << 62;

/// Openings that one segment's header can record; the next opening begins a new segment.
pub(crate) const SESSIONS_MAX: usize = 31;

/// Size of the page by which readers in other processes are woken.
pub(crate) const SIGNAL_BYTES: usize = 4096;
