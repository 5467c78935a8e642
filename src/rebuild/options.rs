//! What a log is rebuilt with.

use crate::error::{Error, Result};
use crate::limits::POSITION_MAX;
use crate::lsn::Lsn;
use crate::options::Options;
use crate::policy::Checksum;

/// What a log is rebuilt with; see [`Rebuild::create`](super::Rebuild::create).
#[derive(Clone, Debug, Default)]
pub struct RebuildOptions {
    pub(super) inner: Options,
    pub(super) start: Lsn,
}

impl RebuildOptions {
    /// The defaults: 64 MiB segments, CRC-32C, no schema tag, from LSN 0 on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Size of a segment in bytes: a power of two from 64 KiB to 1 GiB, by default 64 MiB.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.inner = self.inner.segment_bytes(bytes);
        self
    }

    /// The checksum of the frames; CRC-32C by default.
    #[must_use]
    pub fn checksum(mut self, checksum: Checksum) -> Self {
        self.inner = self.inner.checksum(checksum);
        self
    }

    /// The log's schema tag, as of [`Options::schema`]; 0, the default, is none.
    #[must_use]
    pub fn schema(mut self, schema: u64) -> Self {
        self.inner = self.inner.schema(schema);
        self
    }

    /// Where the log begins: a multiple of the size of a segment, by default 0. Everything below counts as retired.
    #[must_use]
    pub fn start(mut self, start: Lsn) -> Self {
        self.start = start;
        self
    }

    /// As [`Options::allow_unsupported_file_system`].
    #[must_use]
    pub fn allow_unsupported_file_system(mut self, allow: bool) -> Self {
        self.inner = self.inner.allow_unsupported_file_system(allow);
        self
    }

    /// The log is on a simulated disk, as of [`Options::disk`].
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn disk(mut self, disk: &crate::sim::Disk) -> Self {
        self.inner = self.inner.disk(disk);
        self
    }

    pub(super) fn validate(&self) -> Result<()> {
        self.inner.validate()?;
        let segment_bytes = self.inner.new_segment_bytes();
        if self.start.get() >= POSITION_MAX || !self.start.get().is_multiple_of(segment_bytes) {
            return Err(Error::invalid_option(format!(
                "start is LSN {}; give a multiple of segment_bytes, which is {segment_bytes}, below 2^62",
                self.start
            )));
        }
        Ok(())
    }
}
