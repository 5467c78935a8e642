//! The model checkers' stand-in for `home`: nobody forks in a model.

use crate::primitive::AtomicU64;

#[derive(Debug)]
pub(crate) struct Home(AtomicU64);

impl Home {
    pub(crate) fn new(_guarded: bool) -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn limit(&self) -> &AtomicU64 {
        &self.0
    }

    pub(crate) fn is_inherited(&self) -> bool {
        false
    }
}
