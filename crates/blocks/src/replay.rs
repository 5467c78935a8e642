//! Failures are kept whole, since a recording never comes out the same way twice: the disk's image, and what was
//! promised of it.

use std::fs::{self, File};
use std::path::Path;

use crate::check::Claims;
use crate::child::{Known, Truth};
use crate::explore::Bench;
use crate::fs::Fs;
use crate::image::Image;
use crate::system::{Context, Outcome, Scratch, create_sparse};

/// Keeps a failing state in `folder`.
pub fn save(folder: &Path, fs: Fs, image: &Image, truth: &Truth, claims: &Claims, what: &str) -> Outcome<()> {
    fs::create_dir_all(folder).context(folder.display())?;
    let file = create_sparse(&folder.join("disk.img"), fs.disk_bytes()).context("disk.img")?;
    image.store(&file, fs.disk_bytes()).context("disk.img")?;
    let mut text = format!("{}\n{} {} {}\n", fs.name(), claims.durable, claims.start_min, claims.start_max);
    for (lsn, known) in truth {
        text.push_str(&format!("{lsn} {}\n", known.id));
    }
    fs::write(folder.join("truth.txt"), text).context("truth.txt")?;
    fs::write(folder.join("failure.txt"), format!("{what}\n")).context("failure.txt")
}

/// Judges a kept state again.
pub fn replay(folder: &Path, scratch: &Scratch) -> Outcome<()> {
    let text = fs::read_to_string(folder.join("truth.txt")).context(folder.join("truth.txt").display())?;
    let mut lines = text.lines();
    let fs = lines.next().and_then(Fs::from_name).ok_or("truth.txt names no file system")?;
    let claims: Vec<u64> = lines
        .next()
        .unwrap_or_default()
        .split(' ')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .context("claims")?;
    let [durable, start_min, start_max] = claims[..] else { return Err("truth.txt: claims".to_owned()) };
    let mut truth = Truth::new();
    for line in lines {
        let (lsn, id) = line.split_once(' ').ok_or("truth.txt: a record")?;
        truth.insert(lsn.parse().context("LSN")?, Known { id: id.parse()?, at: 0 });
    }
    let image = Image::load(&File::open(folder.join("disk.img")).context("disk.img")?).context("disk.img")?;
    let bench = Bench::new(fs, scratch, 0)?;
    let seen = bench.judge(&image, &truth, &Claims { durable, start_min, start_max }, 0, 1)?;
    println!("it holds now: {seen:?}");
    Ok(())
}
