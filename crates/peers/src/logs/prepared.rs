//! Segment files for the buffered baseline, made ready ahead: a file whose blocks were written before is synced
//! without a journal commit.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};

use super::frame;
use crate::log::Failure;

/// Gives out files for segments.
pub struct Supply {
    place: PathBuf,
    /// Names of files whose records were dropped.
    pub used: Vec<PathBuf>,
    /// Zeroed files, one ahead; none where syncs do not matter.
    zeroed: Option<Receiver<Result<PathBuf, std::io::Error>>>,
}

impl Supply {
    pub fn new(place: &Path, zero: bool, bytes: u64) -> Self {
        let zeroed = zero.then(|| {
            let (send, receive) = sync_channel(1);
            let place = place.to_owned();
            std::thread::spawn(move || {
                let made =
                    (0_u64..).map(|number| zeroed_file(&place.join(format!("{number}.zeroed")), bytes));
                made.map(|file| send.send(file)).find(Result::is_err)
            });
            receive
        });
        Self { place: place.to_owned(), used: Vec::new(), zeroed }
    }

    pub fn take(&mut self, number: u64) -> Result<File, Failure> {
        let path = frame::path(&self.place, number);
        let ready = match (self.used.pop(), &self.zeroed) {
            (Some(used), _) => Some(used),
            (None, Some(zeroed)) => Some(zeroed.recv()??),
            (None, None) => None,
        };
        if let Some(ready) = ready {
            std::fs::rename(ready, &path)?;
        }
        let file = OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
        if self.zeroed.is_some() {
            File::open(&self.place)?.sync_all()?;
        }
        Ok(file)
    }
}

fn zeroed_file(path: &Path, bytes: u64) -> Result<PathBuf, std::io::Error> {
    let mut file = File::create(path)?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..bytes.div_ceil(zeros.len() as u64) {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    Ok(path.to_owned())
}
