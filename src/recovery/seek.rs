//! Looking for frames among bytes that are none.

use std::io;

use super::window::Window;
use crate::format::frame::{self, Parsed};
use crate::limits::claim_max;
use crate::policy::Checksum;
use crate::segment::scan::{Found, Frame, Layout, Source, examine};

/// The first record at or behind `from`, an offset from the segment's base, whose checksum holds. Before each candidate that
/// costs a checksum over its payload, `spend` is asked whether the search may go on; `None` also when it may not.
pub(crate) fn next_frame(
    window: &mut Window,
    layout: Layout<'_>,
    from: u64,
    spend: &mut dyn FnMut(u64) -> bool,
) -> io::Result<Option<Frame>> {
    let mut at = from.next_multiple_of(8);
    while at < layout.segment_bytes {
        let Some(offset) = window.next_nonzero(at)? else { return Ok(None) };
        at = offset;
        let longest = claim_max(layout.segment_bytes).min(layout.segment_bytes - at);
        if let Parsed::Record { payload_len, .. } = frame::parse(window.word(at)?)
            && frame::frame_bytes(payload_len) <= longest
        {
            // The field of a CRC-32C tells frames from other bytes at a glance.
            let costly = layout.verifiers.at(layout.base + at).checksum == Checksum::Crc64;
            if costly && !spend(payload_len) {
                return Ok(None);
            }
            if let Found::Record(frame) = examine(window, layout, at)? {
                return Ok(Some(frame));
            }
        }
        at += 8;
    }
    Ok(None)
}
