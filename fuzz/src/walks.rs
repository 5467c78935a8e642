//! Walks over the frames of a log, whatever is in its files: by one and the other way they must be the same. For the tests and
//! for the fuzz target `inspect`.

use std::path::Path;

use tidelog::inspect::{FrameCounts, FrameKind, Frames, Inspector, SegmentInfo};
use tidelog::{Error, ErrorKind, Lsn};

/// What damage may be told as.
fn is_typed(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Corrupt
            | ErrorKind::Unsupported
            | ErrorKind::Io
            | ErrorKind::NotFound
            | ErrorKind::CursorAhead
    )
}

/// Looks at all that there is: a value or an error of a kind for that, always, and in bounded time. How many records were met.
pub fn look(directory: &Path, limit: Option<u64>) -> u64 {
    let inspector = match Inspector::open(directory) {
        Ok(inspector) => inspector,
        Err(error) => {
            assert!(is_typed(&error), "{error}");
            return 0;
        }
    };
    let lock = inspector.lock();
    assert!(lock.as_ref().err().is_none_or(is_typed), "{lock:?}");
    let foreseen = inspector.foresee();
    assert!(foreseen.as_ref().err().is_none_or(is_typed), "{foreseen:?}");
    if let Ok(report) = &foreseen {
        assert!(report.end >= inspector.meta().start, "{report}");
    }
    let cursors = inspector.cursors(Lsn::new(limit.unwrap_or(u64::MAX)));
    for cursor in cursors.expect("the directory can be listed") {
        assert!(cursor.state.as_ref().err().is_none_or(is_typed), "{cursor:?}");
    }
    let files = inspector.files().expect("the directory can be listed");
    assert!(files.segments.is_sorted_by_key(|segment| segment.base));
    assert!(files.missing.iter().all(|gap| gap.start < gap.end));
    files.segments.iter().map(|segment| walk(&inspector, segment, limit)).sum()
}

/// The frames of a segment, stepped over and counted.
fn walk(inspector: &Inspector, segment: &SegmentInfo, limit: Option<u64>) -> u64 {
    assert!(segment.header.as_ref().err().is_none_or(is_typed), "{segment:?}");
    let open = || {
        let frames = inspector.frames(segment.base)?;
        Ok(match limit {
            Some(limit) => frames.until(Lsn::new(limit)),
            None => frames,
        })
    };
    let (mut steps, mut counts) = match (open(), open()) {
        (Ok(steps), Ok(counts)) => (steps, counts),
        (Err(error), Err(_)) => {
            assert!(is_typed(&error), "{error}");
            return 0;
        }
        other => panic!("only one of two of the same opens: {other:?}"),
    };
    let mut records = 0;
    loop {
        let from = steps.position();
        let (mut stepped, mut counted) = (FrameCounts::default(), FrameCounts::default());
        let step = stepping(&mut steps, &mut stepped);
        let count = counts.count(&mut counted);
        assert_eq!(kind(&step), kind(&count), "at {}", steps.position());
        assert_eq!(stepped, counted, "from {from} to {}", steps.position());
        assert_same(&steps, &counts);
        assert!(steps.position() >= from && steps.position() <= segment.end);
        records += stepped.records;
        if step.is_err() {
            return records;
        }
        let stop = steps.position();
        let (one, other) = (steps.resume(), counts.resume());
        assert_eq!(kind(&one), kind(&other), "behind {stop}");
        assert_same(&steps, &counts);
        let Ok(Some(behind)) = one else { return records };
        assert!(behind > stop && behind < segment.end, "from {stop} it goes on at {behind}");
        assert!(limit.is_none_or(|limit| behind.get() < limit), "beyond the limit");
        assert_eq!((steps.position(), steps.open_batch()), (behind, None));
    }
}

/// What [`Frames::count`] does, frame by frame.
fn stepping(frames: &mut Frames, counts: &mut FrameCounts) -> Result<(), Error> {
    let (mut records, mut bytes) = (0, 0);
    let mut before = frames.position();
    while let Some(frame) = frames.next_frame()? {
        assert_eq!(frame.lsn, before, "frames follow one another");
        assert!(frame.frame_bytes >= 8 && frame.frame_bytes.is_multiple_of(8), "{frame:?}");
        before = Lsn::new(frame.lsn.get() + frame.frame_bytes);
        if frame.kind == FrameKind::Padding {
            counts.padding_bytes += frame.frame_bytes;
            continue;
        }
        (records, bytes) = (records + 1, bytes + frame.payload.len() as u64);
        if matches!(frame.kind, FrameKind::Record | FrameKind::BatchLast) {
            counts.records += std::mem::take(&mut records);
            counts.payload_bytes += std::mem::take(&mut bytes);
            counts.batches += u64::from(frame.kind == FrameKind::BatchLast);
        }
    }
    assert!(frames.stop().is_some(), "the end has a reason");
    Ok(())
}

fn assert_same(one: &Frames, other: &Frames) {
    assert_eq!(
        (one.position(), one.open_batch(), format!("{:?}", one.stop())),
        (other.position(), other.open_batch(), format!("{:?}", other.stop()))
    );
}

fn kind<T: std::fmt::Debug>(result: &Result<T, Error>) -> String {
    result.as_ref().map_or_else(|error| format!("{:?}", error.kind()), |value| format!("{value:?}"))
}
