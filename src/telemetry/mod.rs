//! What the log tells of itself: its statistics put together, and with the feature `metrics` their way to a recorder.

#[cfg(feature = "metrics")]
mod metrics;

use crate::chain::Chain;
use crate::lsn::Lsn;
use crate::primitive::Arc;
use crate::stats::{Counters, Stats, Watermarks};
use crate::storage::Directory;

/// The parts of a log that count.
#[derive(Debug)]
pub(crate) struct Telemetry {
    chain: Arc<Chain>,
    directory: Arc<Directory>,
    counters: Arc<Counters>,
    #[cfg(feature = "metrics")]
    reports: metrics::Reports,
}

impl Telemetry {
    pub(crate) fn new(chain: Arc<Chain>, directory: Arc<Directory>, counters: Arc<Counters>) -> Self {
        #[cfg(feature = "metrics")]
        let reports = metrics::Reports::new(directory.path());
        Self {
            chain,
            directory,
            counters,
            #[cfg(feature = "metrics")]
            reports,
        }
    }

    /// How far the log is; looks how far it is published.
    pub(crate) fn watermarks(&self) -> Watermarks {
        let chain = &self.chain;
        if chain.is_inherited() {
            // Without a lock.
            let [durable, published] =
                [chain.durability.durable(), chain.published().position()].map(Lsn::new);
            return Watermarks::new(Lsn::ZERO, durable, published, published);
        }
        let durable = chain.durability.durable();
        let published = chain.advance_published().unwrap_or_else(|_| chain.published()).position();
        Watermarks::new(
            Lsn::new(chain.catalog.start()),
            Lsn::new(durable),
            Lsn::new(published),
            Lsn::new(chain.claimed()),
        )
    }

    pub(crate) fn stats(&self) -> Stats {
        // First, as it looks how many records are published.
        let watermarks = self.watermarks();
        let (records, payload_bytes) = self.chain.published_so_far();
        Stats {
            watermarks,
            records_published: records,
            payload_bytes_published: payload_bytes,
            segment_waits: self.chain.waits.read(),
            corruption_events: self.directory.corruption_events(),
            ..self.counters.read()
        }
    }

    /// Tells the recorder, if the last time is long ago. Called by the keeper, often.
    #[inline]
    pub(crate) fn report_when_due(&self) {
        #[cfg(feature = "metrics")]
        if self.reports.are_due() {
            self.report();
        }
    }

    /// Tells the recorder.
    #[inline]
    pub(crate) fn report(&self) {
        #[cfg(feature = "metrics")]
        self.reports.send(&self.stats());
    }
}
