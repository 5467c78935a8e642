//! A log as the tool sees it: its files, where it ends, and whether a writer is at it.

use std::path::{Path, PathBuf};

use tidelog::inspect::{Files, Inspector, LockInfo, SegmentInfo, SegmentState};
use tidelog::{Error, Lsn, RecoveryReport};

use crate::args::Global;
use crate::exit::{Fail, Outcome};

/// What a command looks at.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) inspector: Inspector,
    pub(crate) files: Files,
    pub(crate) lock: LockInfo,
    /// Where the log ends, as far as it can be told.
    pub(crate) end: Lsn,
    /// What an opening would find. Absent where a writer has the log open.
    pub(crate) foreseen: Option<Result<RecoveryReport, Error>>,
}

/// The directory that a command is about.
pub(crate) fn directory(global: &Global) -> Result<PathBuf, Fail> {
    let given = global.dir.as_ref().ok_or_else(|| {
        Fail::Usage("no log was named; give its directory with --dir, or set TIDELOG_DIR".to_owned())
    })?;
    match global.partition {
        Some(id) => Ok(given.join(format!("{id:020}.part"))),
        None => refuse_root(given).map(|()| given.clone()),
    }
}

pub(crate) fn refuse_root(directory: &Path) -> Result<(), Fail> {
    if directory.join("partitions.meta").exists() {
        return Err(Fail::Usage(format!(
            "{} is a root of partitions, each a log of its own: name one with --partition",
            directory.display()
        )));
    }
    Ok(())
}

impl View {
    pub(crate) fn open(directory: &Path) -> Result<Self, Fail> {
        let inspector = Inspector::open(directory)?;
        let lock = inspector.lock()?;
        let foreseen = lock.holder.is_none().then(|| inspector.foresee());
        let files = inspector.files()?;
        let end = match &foreseen {
            Some(Ok(report)) => report.end,
            _ => walked_end(&inspector, &files),
        };
        Ok(Self { inspector, files, lock, end, foreseen })
    }

    pub(crate) fn is_live(&self) -> bool {
        self.lock.holder.is_some()
    }

    pub(crate) fn start(&self) -> Lsn {
        self.inspector.meta().start
    }

    /// The segments that may hold records.
    pub(crate) fn written(&self) -> impl DoubleEndedIterator<Item = &SegmentInfo> {
        let there = |segment: &&SegmentInfo| {
            !matches!(segment.state, SegmentState::Retired | SegmentState::Prepared)
                && segment.base.get() < self.end.get().max(self.start().get() + 1)
        };
        self.files.segments.iter().filter(there)
    }

    /// Ranges of the log that should have files and have none; the last may be behind all that there are.
    pub(crate) fn gaps(&self) -> Vec<(u64, u64)> {
        let mut gaps: Vec<_> =
            self.files.missing.iter().map(|gap| (gap.start.get(), gap.end.get())).collect();
        if let Some(Err(error)) = &self.foreseen
            && let Some(lsn) = error.lsn().map(Lsn::get)
            && Outcome::of(error) == Outcome::Gap
            && lsn >= self.end.get()
        {
            let known = self.inspector.meta().proven_durable.get();
            gaps.push((lsn, known.max(lsn + 1)));
        }
        gaps
    }

    /// False for a file that stands where no segment can be, so that nothing is lost with it.
    pub(crate) fn has_place(&self, segment: &SegmentInfo) -> bool {
        segment.base.get().is_multiple_of(self.inspector.meta().segment_bytes)
    }

    /// True when a live writer has retired the segment since this was opened, so that what is wrong with it is not.
    pub(crate) fn was_retired(&self, base: Lsn) -> bool {
        let now = Inspector::open(self.inspector.directory());
        now.is_ok_and(|now| now.meta().start > base)
    }
}

/// The end of the log by its frames alone: for a log that is being written, or that is damaged.
fn walked_end(inspector: &Inspector, files: &Files) -> Lsn {
    let live = files.segments.iter().rev();
    let Some(last) = live.clone().find(|segment| {
        matches!(segment.state, SegmentState::Active | SegmentState::Sealed | SegmentState::Filled)
    }) else {
        return inspector.meta().start;
    };
    if last.state == SegmentState::Sealed {
        return last.end;
    }
    let Ok(mut frames) = inspector.frames(last.base) else { return last.base };
    let mut end = last.base;
    loop {
        while let Ok(Some(_)) = frames.next_frame() {}
        end = end.max(frames.position());
        // Behind damage the log may go on.
        if !matches!(
            frames.stop(),
            Some(tidelog::inspect::Stop::Corrupt(_) | tidelog::inspect::Stop::Hole(_))
        ) || !matches!(frames.resume(), Ok(Some(_)))
        {
            return end;
        }
    }
}
