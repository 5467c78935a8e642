//! What a log tells to others: a Prometheus that scrapes it over HTTP, a recorder and a subscriber of `tracing`, good and bad
//! ones. `cargo test --features metrics,testing,tracing --test observe`.

#[path = "../../examples/prometheus.rs"]
mod exporter;
mod recorder;
mod scrape;
mod strangers;
mod traces;
