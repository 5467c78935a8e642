//! What `verify` is measured against: the library's own replay of a log, segment by segment on all processors.
//! `cargo run --release -p tidelog-cli --example replay DIR`

use std::sync::Mutex;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args_os().nth(1).ok_or("name a log's directory")?;
    let began = Instant::now();
    let snapshot = tidelog::LogReader::open(directory)?.snapshot()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let parts = Mutex::new(snapshot.segments());
    let work = || -> tidelog::Result<(u64, u64)> {
        let mut sum = (0, 0);
        while let Some(part) = parts.lock().map_or(None, |mut parts| parts.next()) {
            for record in part.iter() {
                sum = (sum.0 + 1, sum.1 + record?.payload().len() as u64);
            }
        }
        Ok(sum)
    };
    let sums = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Ok((0, 0))))
            .collect::<tidelog::Result<Vec<_>>>()
    })?;
    let (records, bytes) = sums.into_iter().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    let seconds = began.elapsed().as_secs_f64();
    let log_bytes = snapshot.end().get() - snapshot.start().get();
    println!(
        "{records} records, {bytes} bytes in payloads: {seconds:.3} s, {:.2} GB of log/s",
        log_bytes as f64 / seconds / 1e9
    );
    Ok(())
}
