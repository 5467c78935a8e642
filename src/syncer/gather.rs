//! Waiting a moment for others before a sync, so that one serves more of them.
//!
//! Who was just served often comes back at once. Without waiting, half of them come too late for the next sync, and
//! so two halves take turns for ever. Waiting ends when as many have come as may be expected, when nobody came for a while,
//! or when it took long; and it is left out for some time when it was for nothing. Nobody waits alone: a caller that
//! was the only one to be served expects nobody.

use std::time::{Duration, Instant};

use crate::primitive::{AtomicU64, Ordering, yield_now};

/// Nobody else comes when nobody came for so long. Waking a thread takes 2 to 5 µs, its next append less than one.
const PAUSE_MAX: Duration = Duration::from_micros(40);

/// In all it takes so much longer for each who may come: what the processors need for one who does.
const WAIT_EACH: Duration = Duration::from_micros(3);

/// When it was for nothing a second time, waiting is left out for so many times the time that it took, and then for twice
/// as many. When it was late, at once.
const LEFT_OUT: u64 = 32;
const LEFT_OUT_MAX: u64 = 1024;

/// What was learned about waiting. The threads that lead, one after another, are the only ones to touch it; the values
/// are hints, so relaxed.
#[derive(Debug)]
pub(super) struct Gathering {
    opened: Instant,
    /// It is left out until then, in nanoseconds since `opened`.
    left_out_until: AtomicU64,
    /// For so many times as long as it takes, when it is for nothing again.
    left_out: AtomicU64,
}

impl Gathering {
    pub(super) fn new() -> Self {
        Self { opened: Instant::now(), left_out_until: AtomicU64::new(0), left_out: AtomicU64::new(0) }
    }

    fn nanos(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.opened).as_nanos()).unwrap_or(u64::MAX)
    }

    fn is_due(&self, now: Instant) -> bool {
        self.nanos(now) >= self.left_out_until.load(Ordering::Relaxed)
    }

    /// It began and ended, and so many came of those who were awaited.
    fn learn(&self, began: Instant, now: Instant, came: u64, awaited: u64) {
        let (began, now) = (self.nanos(began), self.nanos(now));
        let took = now.saturating_sub(began);
        // Late: the processors are busy with others than those who come back.
        let late = took > (2 * PAUSE_MAX.as_nanos() as u64).saturating_mul(came + 1);
        if !late && came * 2 >= awaited {
            self.left_out.store(0, Ordering::Relaxed);
            return;
        }
        let times = self.left_out.load(Ordering::Relaxed).max(if late { LEFT_OUT } else { 0 });
        self.left_out_until.store(now.saturating_add(took.saturating_mul(times)), Ordering::Relaxed);
        self.left_out.store((times * 2).clamp(LEFT_OUT, LEFT_OUT_MAX), Ordering::Relaxed);
    }
}

/// How a caller gathers when it leads.
#[derive(Debug)]
pub(super) enum Gather<'a> {
    /// It syncs at once.
    Never,
    /// It waits for so long, once.
    Window(Duration),
    /// It waits for those who may come back.
    Returning(&'a Gathering),
    /// It does so now.
    Waiting { gathering: &'a Gathering, began: Instant, came: Instant, at_first: u64, joined: u64 },
}

impl Gather<'_> {
    /// One step, when `joined` wait for the sync and `expected` may: true when it is to be asked again.
    pub(super) fn step(&mut self, joined: u64, expected: u64) -> bool {
        match *self {
            Self::Never => false,
            Self::Window(window) => {
                std::thread::sleep(window);
                *self = Self::Never;
                false
            }
            Self::Returning(_) | Self::Waiting { .. } => {
                let waits = self.waits(joined, expected, Instant::now());
                if waits {
                    yield_now();
                }
                waits
            }
        }
    }

    /// Whether those who may come back are waited for, now.
    fn waits(&mut self, joined: u64, expected: u64, now: Instant) -> bool {
        match *self {
            Self::Never | Self::Window(_) => false,
            Self::Returning(gathering) => {
                if joined >= expected || !gathering.is_due(now) {
                    return false;
                }
                *self = Self::Waiting { gathering, began: now, came: now, at_first: joined, joined };
                true
            }
            Self::Waiting { gathering, began, ref mut came, at_first, joined: ref mut before } => {
                if joined > *before {
                    (*before, *came) = (joined, now);
                }
                let limit = PAUSE_MAX + WAIT_EACH.saturating_mul(u32::try_from(expected).unwrap_or(u32::MAX));
                if joined < expected && now - *came < PAUSE_MAX && now - began < limit {
                    return true;
                }
                let (came, awaited) = (joined.saturating_sub(at_first), expected.saturating_sub(at_first));
                gathering.learn(began, now, came, awaited);
                *self = Self::Returning(gathering);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who joined at which microsecond, until the sync begins: how many times it was put off.
    fn steps(gather: &mut Gather<'_>, opened: Instant, joined: &[(u64, u64)], expected: u64) -> usize {
        let at = |micros| opened + Duration::from_micros(micros);
        joined.iter().take_while(|(micros, joined)| gather.waits(*joined, expected, at(*micros))).count()
    }

    #[test]
    fn a_lone_caller_never_waits() {
        let gathering = Gathering::new();
        for micros in 0..100 {
            let gather = &mut Gather::Returning(&gathering);
            assert_eq!(steps(gather, gathering.opened, &[(micros, 1)], 1), 0);
        }
        assert!(!Gather::Never.step(1, 9));
    }

    #[test]
    fn it_ends_when_all_have_come() {
        let gathering = Gathering::new();
        let mut gather = Gather::Returning(&gathering);
        for round in 0..100 {
            let joined = [(100 * round, 1), (100 * round + 9, 3), (100 * round + 18, 3)];
            assert_eq!(steps(&mut gather, gathering.opened, &joined, 3), 1);
        }
    }

    #[test]
    fn it_ends_when_nobody_comes_for_a_while_and_when_it_takes_long() {
        let gathering = Gathering::new();
        let mut gather = Gather::Returning(&gathering);
        let pause = PAUSE_MAX.as_micros() as u64;
        let joined = [(0, 1), (pause - 1, 1), (pause, 1), (pause + 1, 1)];
        assert_eq!(steps(&mut gather, gathering.opened, &joined, 3), 2);
        // One comes every 39 microseconds, and eleven may.
        let limit = pause + 11 * WAIT_EACH.as_micros() as u64;
        let slowly: Vec<_> = (0..11).map(|one| (1000 + one * (pause - 1), one + 1)).collect();
        let in_time = slowly.iter().filter(|(micros, _)| micros - 1000 < limit).count();
        assert_eq!(steps(&mut gather, gathering.opened, &slowly, 11), in_time);
    }

    #[test]
    fn it_is_left_out_when_nobody_comes() {
        let gathering = Gathering::new();
        let at = |micros| gathering.opened + Duration::from_micros(micros);
        assert!(gathering.is_due(at(0)));
        gathering.learn(at(0), at(20), 1, 2);
        assert!(gathering.is_due(at(20)));
        // Once is nothing.
        gathering.learn(at(20), at(40), 1, 3);
        assert!(gathering.is_due(at(40)));
        gathering.learn(at(100), at(120), 0, 1);
        assert!(!gathering.is_due(at(759)) && gathering.is_due(at(760)));
        gathering.learn(at(1000), at(1020), 0, 1);
        assert!(!gathering.is_due(at(2299)) && gathering.is_due(at(2300)));
        // In time again, it begins anew.
        gathering.learn(at(3000), at(3300), 100, 150);
        gathering.learn(at(3300), at(3320), 0, 1);
        assert!(gathering.is_due(at(3320)));
        gathering.learn(at(3400), at(3430), 1, 1);
        // Late is worse.
        gathering.learn(at(4000), at(5000), 3, 3);
        assert!(!gathering.is_due(at(36_999)) && gathering.is_due(at(37_000)));
    }

    #[test]
    fn a_window_is_waited_for_once() {
        let mut gather = Gather::Window(Duration::from_millis(2));
        let began = Instant::now();
        assert!(!gather.step(1, 1) && began.elapsed() >= Duration::from_millis(2));
        assert!(!gather.step(1, 1));
        assert!(matches!(gather, Gather::Never));
    }
}
