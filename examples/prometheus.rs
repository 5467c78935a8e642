//! A log whose metrics Prometheus can scrape: `cargo run --example prometheus --features metrics -- DIRECTORY ADDRESS`.
//!
//! The recorder is installed before the log is opened; from then on the log reports by itself, once a second.
//! `curl http://ADDRESS/metrics` shows what there is, and `docs/METRICS.md` what it means.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tidelog::{Log, Options, SyncPolicy};

/// Of the histograms, in seconds.
const LATENCIES: [f64; 12] = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0];

/// Serves what is recorded from now on, at `http://ADDRESS/metrics`, on a thread of its own.
pub fn serve(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let exporter = PrometheusBuilder::new().with_http_listener(address).set_buckets(&LATENCIES)?;
    Ok(exporter.install()?)
}

/// A log under `Grouped`, the policy for most.
pub fn open(directory: &str) -> tidelog::Result<Log> {
    Options::new().sync_policy(SyncPolicy::grouped()).segment_bytes(1 << 20).open(directory)
}

#[allow(dead_code, reason = "a test takes the functions above")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(directory), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err(
            "usage: prometheus DIRECTORY ADDRESS, for example: prometheus /tmp/log 127.0.0.1:9000".into()
        );
    };
    serve(address.parse()?)?;
    let log = open(&directory)?;
    println!("scrape http://{address}/metrics; end with Ctrl-C");
    for n in 0_u64.. {
        log.append(&n.to_le_bytes())?;
        if n % 10_000 == 0 {
            log.retire_before(log.watermarks().durable)?;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
