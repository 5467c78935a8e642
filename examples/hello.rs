//! The smallest program: append, read by LSN, replay, close.
//!
//! ```text
//! cargo run --example hello [DIRECTORY]
//! ```

use std::error::Error;
use std::path::PathBuf;

use tidelog::{Log, LogReader};

fn main() -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let directory = std::env::args_os().nth(1).map_or_else(|| temporary.path().join("log"), PathBuf::from);

    let log = Log::open(&directory)?;
    println!("{}", log.recovery());

    // Durable when it returns: the default policy is `Grouped`.
    let hello = log.append(b"hello")?;
    // Several records as one: after any crash all of them are there, or none.
    log.append_batch(&["atomic", "batch"])?;
    // Written in place, without a copy.
    log.append_with(8, |buffer| buffer.copy_from_slice(&42_u64.to_le_bytes()))?;

    println!("LSN {hello}: {:?}", String::from_utf8_lossy(log.read(hello)?.payload()));
    for record in &log.snapshot() {
        let record = record?;
        println!("LSN {}: {} bytes", record.lsn(), record.payload().len());
    }

    // Any process may read along.
    println!("a reader sees {} records", LogReader::open(&directory)?.snapshot()?.iter().count());
    log.close()?;
    Ok(())
}
