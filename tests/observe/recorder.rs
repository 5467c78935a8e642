//! A recorder of one thread, told by `report_metrics`.

use metrics::with_local_recorder;
use metrics_exporter_prometheus::PrometheusBuilder;
use tidelog::testing::{Disk, Fault, Operation};
use tidelog::{Options, SyncPolicy};

/// Every metric is told, whatever its kind, and described.
#[test]
fn every_metric_is_told() {
    let document = include_str!("../../docs/METRICS.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let names: Vec<(&str, &str)> = rows
        .map(|row| {
            let (name, rest) = row.split_once('`').unwrap();
            (name, rest.split('|').nth(1).unwrap().trim())
        })
        .collect();
    assert!(names.len() > 20);
    let disk = Disk::new(3);
    let options = || Options::new().segment_bytes(4 << 10).sync_policy(SyncPolicy::Immediate).disk(&disk);
    let recorder = PrometheusBuilder::new().build_recorder();
    let log = options().open("/data/log").unwrap();
    for n in 0..100_u64 {
        log.append(&n.to_le_bytes()).unwrap();
    }
    log.retire_before(log.watermarks().published).unwrap();
    with_local_recorder(&recorder, || log.report_metrics());
    let text = recorder.handle().render();
    for (name, kind) in names {
        // The facade's histograms are summaries unless buckets are asked for.
        let kind = if kind == "histogram" { "summary" } else { kind };
        let told = text.contains(&format!("# TYPE {name} {kind}\n"));
        // No append had to wait, for the log on a simulated disk has no threads.
        let empty = name == "tidelog_segment_wait_seconds" && log.stats().segment_waits.is_empty();
        assert!(told || empty, "{name} {kind} is missing in\n{text}");
        assert!(told == text.contains(&format!("# HELP {name} ")), "{name}");
    }
}

#[test]
fn failures_are_counted() {
    let disk = Disk::new(3);
    let options = Options::new().segment_bytes(4 << 10).sync_policy(SyncPolicy::Immediate).disk(&disk);
    let log = options.open("/data/log").unwrap();
    log.append(b"well").unwrap();
    disk.fail(Fault::nth(Operation::Flush, 1));
    log.append(b"not so well").unwrap_err();
    let stats = log.stats();
    assert_eq!((stats.sync_failures, stats.syncs), (1, 1));
    let recorder = PrometheusBuilder::new().build_recorder();
    with_local_recorder(&recorder, || log.report_metrics());
    let text = recorder.handle().render();
    assert!(text.contains("tidelog_sync_failures_total{log=\"/data/log\"} 1\n"), "{text}");
}
