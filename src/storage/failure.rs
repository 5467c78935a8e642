//! Errors of the log's files, and whether the device is to be trusted after them.

use crate::error::{Error, ErrorKind};

/// Why a file could not be made ready or written.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The device failed at a sync: what else it held in its cache may be gone too, and no later sync would tell.
    pub(crate) device_failed: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, device_failed: false }
    }
}

impl Failure {
    /// It was a sync that failed, or a write on its way to one.
    pub(super) fn at_a_sync(self) -> Self {
        // Without room for the file's own blocks nothing of anybody else's is lost.
        let device_failed = self.error.kind() != ErrorKind::StorageFull;
        Self { device_failed, ..self }
    }
}
