//! `examples/prometheus.rs` serves, a real HTTP client scrapes.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use crate::exporter;

/// A free port of this machine.
fn address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn scrape(address: SocketAddr) -> String {
    let mut response = ureq::get(format!("http://{address}/metrics")).call().unwrap();
    assert_eq!(response.status(), 200);
    response.body_mut().read_to_string().unwrap()
}

/// The value of a line that begins so and tells of this log.
fn value(text: &str, name: &str, directory: &str) -> Option<f64> {
    let label = format!("log=\"{directory}\"");
    let mut lines =
        text.lines().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(&label));
    let line = lines.next()?;
    assert_eq!(lines.next(), None, "{name} twice");
    Some(line.rsplit_once(' ')?.1.parse().unwrap())
}

#[test]
fn what_is_scraped_is_what_the_log_did() {
    let address = address();
    exporter::serve(address).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = exporter::open(dir.path().to_str().unwrap()).unwrap();
    let directory = log.directory().to_str().unwrap().to_owned();
    for n in 0..300_u32 {
        log.append(&n.to_le_bytes()).unwrap();
    }
    log.read(log.watermarks().start).unwrap();

    // It reports by itself.
    let began = Instant::now();
    let text = loop {
        let text = scrape(address);
        if value(&text, "tidelog_records_published_total", &directory) == Some(300.0) {
            break text;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "never reported:\n{text}");
        std::thread::sleep(Duration::from_millis(20));
    };
    let stats = log.stats();
    let told = |name: &str| value(&text, name, &directory).unwrap_or_else(|| panic!("no {name} in\n{text}"));
    assert_eq!(told("tidelog_payload_bytes_published_total"), 1200.0);
    assert_eq!(told("tidelog_syncs_total"), stats.syncs as f64);
    assert_eq!(told("tidelog_sync_seconds_count"), stats.syncs as f64);
    assert_eq!(told("tidelog_sync_records_sum"), 300.0);
    assert_eq!(told("tidelog_reads_total"), 1.0);
    assert_eq!(told("tidelog_corruption_events_total"), 0.0);
    assert_eq!(told("tidelog_durable_lsn"), stats.watermarks.durable.get() as f64);
    assert_eq!(told("tidelog_unsynced_bytes"), 0.0);
    // A value that is told is at most 1/16 too large.
    let (sum, true_sum) = (told("tidelog_sync_seconds_sum"), stats.sync_time.as_secs_f64());
    assert!(sum >= true_sum * 0.999_999 && sum <= true_sum * (1.0 + 1.0 / 16.0), "{sum} {true_sum}");
    for (name, kind) in [
        ("tidelog_syncs_total", "counter"),
        ("tidelog_sync_seconds", "histogram"),
        ("tidelog_claimed_lsn", "gauge"),
    ] {
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{text}");
    }
    assert!(text.contains("# HELP tidelog_syncs_total Syncs carried out"), "{text}");

    // Closing reports what came last, and nothing is told twice.
    log.append(b"last").unwrap();
    log.close().unwrap();
    let text = scrape(address);
    let told = |name: &str| value(&text, name, &directory).unwrap();
    assert_eq!(told("tidelog_records_published_total"), 301.0);
    assert_eq!(told("tidelog_sync_records_sum"), 301.0);
    assert_eq!(told("tidelog_sync_seconds_count"), log.stats().syncs as f64);
}
