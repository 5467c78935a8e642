//! Of `top`.

use std::time::Duration;

use crate::units::parse_duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Top {
    /// Between two looks
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    pub(crate) interval: Duration,
    /// End after N intervals
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) count: Option<u64>,
}

fn interval(text: &str) -> Result<Duration, String> {
    let range = Duration::from_millis(10)..=Duration::from_secs(86_400);
    let interval = parse_duration(text).filter(|interval| range.contains(interval));
    interval.ok_or_else(|| format!("{text:?} is no interval; write 500ms, 1s or 1m, from 10ms to 1d"))
}
