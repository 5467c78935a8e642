//! The slots that claims find their segment in. Slots are permanent; what they hold changes.
#![allow(unsafe_code, reason = "see the proof at each block; listed in lib.rs")]

use crossbeam_utils::CachePadded;

use crate::error::Result;
use crate::limits::RING_SLOTS;
use crate::primitive::{Arc, AtomicU64, Mutex, Ordering, UnsafeCell, lock};
use crate::segment::Segment;
use crate::segment::claim::{Claimed, Place};
use crate::segment::scan::Published;
use crate::signal::Signal;

const EMPTY: u64 = u64::MAX;

#[derive(Debug)]
struct Slot {
    /// Number of the segment that is here.
    number: AtomicU64,
    segment: UnsafeCell<Option<Arc<Segment>>>,
}

impl Slot {
    /// True when no claim can be reading the slot. The caller holds `Ring::changing`.
    fn is_free(&self, published: Published) -> bool {
        self.segment.with(|place| {
            // SAFETY: `changing` is held, so nobody writes meanwhile.
            let segment = unsafe { &*place };
            segment.as_ref().is_none_or(|segment| published.position() >= segment.end())
        })
    }
}

/// The segments that can be written to.
#[derive(Debug)]
pub(crate) struct Ring {
    slots: [CachePadded<Slot>; RING_SLOTS as usize],
    /// Who changes a slot holds this.
    changing: Mutex<()>,
}

// SAFETY: `segment` is written under `changing` only, and only while no claim reads it: a claim reads the slot
// between INSTALL of its segment and its own publishing store, and `install` and `clear` change a slot only when
// all claims of its segment are published.
unsafe impl Sync for Ring {}

// A slot is changed by one store of an `Option<Arc>`, and no caller's code runs meanwhile: a panic finds it whole.
impl std::panic::RefUnwindSafe for Ring {}

impl Ring {
    pub(crate) fn new() -> Self {
        let empty =
            |_| CachePadded::new(Slot { number: AtomicU64::new(EMPTY), segment: UnsafeCell::new(None) });
        Self { slots: core::array::from_fn(empty), changing: Mutex::new(()) }
    }

    #[inline]
    fn slot(&self, number: u64) -> &Slot {
        &self.slots[(number % RING_SLOTS) as usize]
    }

    /// True when the segment can be written to.
    #[inline]
    pub(crate) fn holds(&self, number: u64) -> bool {
        // INSTALL, acquire side: pairs with the release store in `install`.
        self.slot(number).number.load(Ordering::Acquire) == number
    }

    /// Begins a claim in its segment, whose end is told to `signal`. While the segment is not installed, `wait` is to wait
    /// for it; `None` if it did not come.
    #[inline(always)]
    pub(crate) fn begin<'a>(
        &'a self,
        number: u64,
        place: Place,
        signal: &'a Signal,
        wait: impl FnOnce() -> Result<()>,
    ) -> Result<Option<Claimed<'a>>> {
        if !self.holds(number) {
            wait()?;
            if !self.holds(number) {
                return Ok(None);
            }
        }
        Ok(self.slot(number).segment.with(|segment| {
            // SAFETY: INSTALL ordered the slot's contents before this read, and they stay until this claim is
            // published: `install` waits for that. The claim is its own hazard pointer.
            let segment = unsafe { &*segment };
            let body = segment.as_deref()?.mapped_body()?;
            // SAFETY: the cursor's `fetch_add` gave the range to this thread alone; it lies within the segment by
            // arithmetic; prepared segments are zeroed; and the region stays mapped and in place until the claim
            // is published, as said above.
            Some(unsafe { Claimed::begin(&body.region, place, signal) })
        }))
    }

    /// Puts `segment` into its slot. Refuses while the slot's earlier segment has unpublished claims.
    pub(crate) fn install(&self, number: u64, segment: Arc<Segment>, published: Published) -> bool {
        let _changing = lock(&self.changing);
        let slot = self.slot(number);
        if !slot.is_free(published) {
            return false;
        }
        slot.segment.with_mut(|place| {
            // SAFETY: RECYCLE. `changing` is held, so nobody else writes; and nobody reads any more: every claim
            // of the earlier segment is published, and publishing is a claim's last touch.
            unsafe { *place = Some(segment) };
        });
        // INSTALL, release side: pairs with the acquire load in `holds`.
        slot.number.store(number, Ordering::Release);
        true
    }

    /// Lets go of the segments that are wholly published, so that a retired one can be recycled.
    pub(crate) fn clear(&self, published: Published) {
        let _changing = lock(&self.changing);
        for slot in self.slots.iter().filter(|slot| slot.is_free(published)) {
            slot.segment.with_mut(|place| {
                // SAFETY: RECYCLE, as in `install`. The number may stay: no claim of it will come any more.
                unsafe { *place = None };
            });
        }
    }
}
