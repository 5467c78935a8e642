//! A process for each piece of work on each log: one that hangs, crashes or leaves threads behind harms no other.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::log::Failure;
use crate::logs;
use crate::work::{Job, Outcome};

/// Where a panic happened and what it said, for the answer.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// The child's side: carries out the job and writes the answer.
pub fn main(job: &str) -> Result<(), Failure> {
    let job: Job = serde_json::from_str(job)?;
    watch(&job);
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.to_string().replace('\n', " ");
        PANIC.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(message);
    }));
    let entry = logs::find(&job.log).ok_or("no such log")?;
    let outcome = match std::panic::catch_unwind(|| (entry.run)(&job)) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(failure)) => Outcome::Failed(failure.to_string()),
        Err(_) => {
            let message = PANIC.lock().unwrap_or_else(PoisonError::into_inner).take();
            Outcome::Failed(message.unwrap_or_else(|| "it panicked".into()))
        }
    };
    answer(&job.answer, &outcome)?;
    // Threads that a log left behind, and what it would still do while it is dropped, end here.
    std::process::exit(0);
}

/// Ends the process when its time is over, whatever the log is doing.
fn watch(job: &Job) {
    let (path, seconds) = (job.answer.clone(), job.limit_seconds);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs_f64(seconds));
        if !path.exists() {
            let _ = answer(&path, &Outcome::Failed(format!("it hangs: no end within {seconds:.0} s")));
        }
        std::process::abort();
    });
}

/// Whole or not at all: the watchdog may write at the same moment.
fn answer(path: &Path, outcome: &Outcome) -> Result<(), Failure> {
    let temporary = path.with_extension(format!("{:?}", std::thread::current().id()));
    std::fs::write(&temporary, serde_json::to_vec(outcome)?)?;
    std::fs::rename(&temporary, path)?;
    Ok(())
}

/// The parent's side: runs a job in a child and waits for its answer.
pub fn run(job: &Job) -> Outcome {
    ask(job).unwrap_or_else(|failure| Outcome::Failed(failure.to_string()))
}

fn ask(job: &Job) -> Result<Outcome, Failure> {
    let _ = std::fs::remove_file(&job.answer);
    let said = job.answer.with_extension("out");
    let file = std::fs::File::create(&said)?;
    let status = std::process::Command::new(std::env::current_exe()?)
        .args(["--child", &serde_json::to_string(job)?])
        .stdin(std::process::Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()?;
    if let Ok(bytes) = std::fs::read(&job.answer) {
        return Ok(serde_json::from_slice(&bytes)?);
    }
    let said = std::fs::read_to_string(&said).unwrap_or_default();
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(format!("{status}: {last}").into())
}
