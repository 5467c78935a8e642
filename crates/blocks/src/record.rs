//! A recording: a log is written on a real file system, and the disk below notes every write, FLUSH and mark.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::check::{Claims, judge};
use crate::child::{Child, Opened, Told, Truth, learn};
use crate::disk::{Disk, Event};
use crate::fs::{Fs, Tearable};
use crate::image::Image;
use crate::system::{BootId, Loop, Mounted, Outcome, Scratch};
use crate::writer::Plan;

/// How a phase ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    Close,
    /// The writer is killed after so many marks.
    Kill(u64),
    /// The writer is killed when one of its threads has parked and the others have appended behind it.
    KillParked,
}

/// What a recording begins with.
#[derive(Clone, Debug)]
pub struct Origin {
    pub image: Image,
    pub truth: Truth,
    pub claims: Claims,
    /// The boot in which the recording takes place; the image is of an earlier one.
    pub boot: u32,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub writes: u64,
    pub flushes: u64,
    pub rolls: u64,
    pub retires: u64,
    pub recycles: u64,
    pub recoveries: u64,
    pub kills: u64,
    /// Claims that were never published, and that a recovery padded.
    pub holes: u64,
}

/// All that was noted.
#[derive(Debug)]
pub struct Recording {
    pub fs: Fs,
    pub name: String,
    pub base: Image,
    pub events: Vec<Event>,
    pub truth: Truth,
    /// What was promised of the image that it begins with.
    pub origin: Claims,
    /// What could be torn, as of a number of events.
    pub tearable: Vec<(usize, Tearable)>,
    pub figures: Figures,
}

impl Recording {
    /// What could be torn before the event `at`: the files lie where they were seen next.
    pub fn tearable_at(&self, at: usize) -> Option<&Tearable> {
        let next = self.tearable.iter().find(|(until, _)| *until >= at).or(self.tearable.last());
        next.map(|(_, tearable)| tearable)
    }
}

/// The disk, the device on it and the file system on that. Fields go in this order.
#[derive(Debug)]
pub struct Stack {
    pub mounted: Option<Mounted>,
    pub device: Loop,
    pub disk: Arc<Disk>,
    pub fs: Fs,
    point: PathBuf,
}

impl Stack {
    pub fn new(fs: Fs, scratch: &Scratch, image: Image) -> Outcome<Self> {
        let served = scratch.directory("disk")?;
        let point = scratch.directory("mount")?;
        let disk = Disk::serve(&served, &scratch.backing_name("disk"), image, fs.disk_bytes(), fs.bytes());
        let disk = Arc::new(disk.map_err(|error| format!("cannot serve the disk: {error}"))?);
        let device = Loop::attach(disk.file())?;
        Ok(Self { mounted: None, device, disk, fs, point })
    }

    pub fn mount(&mut self) -> Outcome<()> {
        self.mounted = Some(self.fs.mount(self.device.device(), &self.point)?);
        Ok(())
    }

    pub fn unmount(&mut self) -> Outcome<()> {
        self.mounted.take().map_or(Ok(()), Mounted::unmount)
    }

    /// Where the log is.
    pub fn directory(&self) -> PathBuf {
        self.point.join("log")
    }

    pub fn writer(&self, plan: &Plan) -> Outcome<Child> {
        Child::start(&self.disk, &self.directory(), self.device.device(), self.fs.bytes(), plan)
    }
}

/// An empty file system.
pub fn fresh(fs: Fs, scratch: &Scratch) -> Outcome<Image> {
    let stack = Stack::new(fs, scratch, Image::default())?;
    fs.make(stack.device.device())?;
    Ok(stack.disk.image())
}

/// Carries out the phases, one writer each, and records.
pub fn record(
    fs: Fs,
    name: String,
    scratch: &Scratch,
    boot: &BootId,
    origin: Origin,
    phases: &[(Plan, End)],
) -> Outcome<Recording> {
    boot.set(origin.boot)?;
    let mut stack = Stack::new(fs, scratch, origin.image.clone())?;
    stack.disk.record();
    stack.mount()?;
    let mut recorder = Recorder {
        stack,
        truth: origin.truth,
        claims: origin.claims,
        tearable: Vec::new(),
        figures: Figures::default(),
        killed: None,
    };
    for (number, (plan, end)) in phases.iter().enumerate() {
        recorder
            .phase(plan, *end, number == 0)
            .map_err(|error| format!("{name}, phase {number}: {error}"))?;
    }
    recorder.stack.unmount()?;
    let events = recorder.stack.disk.take_events();
    let Recorder { truth, claims, tearable, mut figures, .. } = recorder;
    figures.writes = events.iter().filter(|event| matches!(event, Event::Write { .. })).count() as u64;
    figures.flushes = events.iter().filter(|event| matches!(event, Event::Flush)).count() as u64;
    Ok(Recording { fs, name, base: origin.image, events, truth, origin: claims, tearable, figures })
}

struct Recorder {
    stack: Stack,
    truth: Truth,
    claims: Claims,
    tearable: Vec<(usize, Tearable)>,
    figures: Figures,
    /// The run whose writer was killed last.
    killed: Option<u16>,
}

impl Recorder {
    fn phase(&mut self, plan: &Plan, end: End, first: bool) -> Outcome<()> {
        let mut child = self.stack.writer(plan)?;
        let opened = child.opened()??;
        let at = self.stack.disk.recorded();
        self.opened(&opened, at, first)?;
        self.figures.holes += opened.holes;
        self.figures.recoveries += u64::from(opened.how != "Created" && opened.how != "Clean");
        let mut kill_at = match end {
            End::Close | End::KillParked => None,
            End::Kill(after) => Some(self.stack.disk.marks() + after),
        };
        let mut behind_parked = None;
        child.go_on()?;
        loop {
            if kill_at.is_some_and(|marks| self.stack.disk.marks() >= marks) {
                kill_at = None;
                child.kill()?;
                self.figures.kills += 1;
                self.killed = Some(plan.run);
            }
            let told = if kill_at.is_some() {
                match child.next_within(Duration::from_micros(500))? {
                    Some(told) => told,
                    None => continue,
                }
            } else {
                child.next()?
            };
            match told {
                Some((at, Told::Appended(records))) => {
                    learn(&mut self.truth, at, &records)?;
                    behind_parked = behind_parked.map(|count| count + 1);
                    if behind_parked == Some(8) {
                        kill_at = Some(0);
                    }
                }
                Some((_, Told::Durable(_))) => {}
                Some((_, Told::Parked)) => behind_parked = Some(0),
                Some((_, Told::Checkpoint)) => {
                    self.note_tearable()?;
                    child.go_on()?;
                }
                Some((_, Told::Done)) => match end {
                    End::Close => child.go_on()?,
                    End::Kill(_) | End::KillParked => kill_at = Some(0),
                },
                Some((_, Told::Closed { sealed, retired, recycled })) => {
                    self.figures.rolls += sealed;
                    self.figures.retires += retired;
                    // Without a retirement it is the prepared segments of an earlier writer that are in use again.
                    self.figures.recycles += if plan.retire { recycled } else { 0 };
                    child.finish()?;
                    break;
                }
                Some((_, other)) => return Err(format!("the writer tells {other:?}")),
                None if !matches!(end, End::Close) => break,
                None => return Err("the writer ended early".to_owned()),
            }
        }
        self.note_tearable()
    }

    /// Judges what an opening found. From a crash image that is less than was appended; then the rest never was.
    fn opened(&mut self, opened: &Opened, at: usize, first: bool) -> Outcome<()> {
        let Opened { found, start, end, whole: true, .. } = opened else {
            return Err("the writer died of reading".to_owned());
        };
        if first {
            judge(found, *start, &self.truth, &self.claims)?;
            self.truth.clear();
            self.claims = Claims { durable: *end, start_min: *start, start_max: *start };
            return learn(&mut self.truth, at, found);
        }
        // A writer that was killed could not tell of its last appends; all others are known.
        let unknown = found.iter().filter(|(lsn, _)| !self.truth.contains_key(lsn));
        if let Some((lsn, id)) = unknown.into_iter().find(|(_, id)| Some(id.run) != self.killed) {
            return Err(format!("record {id} at LSN {lsn} was never appended"));
        }
        learn(&mut self.truth, at, found)?;
        let everything = Claims { durable: u64::MAX, start_min: 0, start_max: u64::MAX };
        judge(found, *start, &self.truth, &everything)
            .map_err(|error| format!("only the process died: {error}"))
    }

    fn note_tearable(&mut self) -> Outcome<()> {
        let tearable = self.stack.fs.tearable(&self.stack.directory())?;
        self.tearable.push((self.stack.disk.recorded(), tearable));
        Ok(())
    }
}
