//! What there is: the metadata, or what the segments tell of it, and each segment's header, or what is left of it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Result};
use crate::format::header::{Header, Identity, PAGE, Remains};
use crate::format::meta::Meta;
use crate::limits::HEADER_BYTES;
use crate::storage::{Access, Directory};

/// A segment's file, by its header.
#[derive(Debug)]
pub(super) enum Sight {
    Sound(Header),
    /// Its page is damaged, or its file too short.
    Damaged(Remains),
    /// It is another segment's, or another log's.
    Stranger,
}

/// The log's files.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) meta: Meta,
    /// `meta` is what the segments tell.
    pub(super) meta_lost: bool,
    /// By base, from the log's start on.
    pub(super) segments: BTreeMap<u64, Sight>,
    /// Segments by their names, which fit no place in the log.
    pub(super) misnamed: Vec<PathBuf>,
    /// Cursors that do not read back.
    pub(super) broken_cursors: Vec<PathBuf>,
    /// Numbers of spares.
    pub(super) spares: Vec<u64>,
}

pub(super) fn look(directory: &Directory, may_guess: bool) -> Result<Seen> {
    let listing = directory.list()?;
    let (meta, meta_lost) = match directory.read_meta() {
        Ok(Some(meta)) => (meta, false),
        Ok(None) if listing.segments.is_empty() => return Err(Error::not_found(directory.path())),
        Err(error) if !error.is_corruption() || !may_guess => return Err(error),
        Ok(None) if !may_guess => {
            let path = directory.path().join(crate::format::name::META);
            return Err(Error::corrupt("there are segments but no metadata", &path, 0, None));
        }
        Ok(None) | Err(_) => (guess(directory, &listing.segments)?, true),
    };
    let mut seen = Seen {
        meta,
        meta_lost,
        segments: BTreeMap::new(),
        misnamed: Vec::new(),
        broken_cursors: Vec::new(),
        spares: listing.spares,
    };
    for base in listing.segments.into_iter().filter(|base| *base >= meta.start) {
        if base % meta.segment_bytes == 0 {
            seen.segments.insert(base, sight(directory, &meta, base)?);
        } else {
            seen.misnamed.push(directory.segment_path(base));
        }
    }
    for name in listing.cursors {
        match directory.read_cursor(&name, meta.log_id) {
            Err(error) if error.is_corruption() => seen.broken_cursors.push(directory.cursor_path(&name)),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    Ok(seen)
}

/// The identity of the segment at `base`.
pub(super) fn identity(meta: &Meta, base: u64) -> Identity {
    let number = base.checked_div(meta.segment_bytes).unwrap_or_default();
    Identity { log_id: meta.log_id, number, segment_bytes: meta.segment_bytes }
}

fn sight(directory: &Directory, meta: &Meta, base: u64) -> Result<Sight> {
    let expected = identity(meta, base);
    let file = directory.open_segment(base, Access::Read)?;
    match directory.read_header(&*file, &expected) {
        Ok(header) => return Ok(Sight::Sound(header)),
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Io) => {}
        Err(error) => return Err(error),
    }
    let remains = Remains::of(&page(directory, base), &expected);
    // Of a file that is too short the rest may still be good.
    Ok(match remains.identity {
        Some(identity) if identity != expected => Sight::Stranger,
        _ => Sight::Damaged(remains),
    })
}

/// A header page as far as it reads; zeros for the rest.
pub(super) fn page(directory: &Directory, base: u64) -> Box<[u8; PAGE]> {
    let mut page = Box::new([0; PAGE]);
    let Ok(file) = directory.open_segment(base, Access::Read) else { return page };
    // By sectors, as a device fails.
    for (index, sector) in page.chunks_mut(512).enumerate() {
        let at = u64::try_from(index).unwrap_or_default().saturating_mul(512);
        if file.read_exact_at(sector, at).is_err() {
            sector.fill(0);
        }
    }
    page
}

/// What most of the segments' headers say the log is.
fn guess(directory: &Directory, bases: &[u64]) -> Result<Meta> {
    let mut voices: BTreeMap<([u8; 16], u64), (u64, u64)> = BTreeMap::new();
    for base in bases {
        let page = page(directory, *base);
        let nobody = Identity { log_id: [0; 16], number: 0, segment_bytes: HEADER_BYTES };
        let Some(identity) = Remains::of(&page, &nobody).identity else { continue };
        if identity.base() == *base && identity.segment_bytes > 0 {
            let (count, _) = voices.entry((identity.log_id, identity.segment_bytes)).or_insert((0, *base));
            *count = count.saturating_add(1);
        }
    }
    let most = voices.into_iter().max_by_key(|(_, (count, _))| *count);
    let ((log_id, segment_bytes), (_, start)) = most.ok_or_else(|| {
        let path = directory.path().join(crate::format::name::META);
        Error::corrupt("there is no metadata, and no segment's header tells what the log was", &path, 0, None)
    })?;
    let meta = Meta { log_id, segment_bytes, start, generation: 0, proven: 0, schema: 0 };
    // As those of a file would be judged.
    Meta::decode(&meta.encode_new()).map_err(|_| {
        let path = directory.segment_path(start);
        Error::corrupt("a segment's header tells of a log that cannot be", &path, 0, None)
    })
}

/// Where a file's last word ends that is not zero, as an offset from the segment's base.
pub(super) fn last_word(directory: &Directory, base: u64, bytes: u64, from: u64) -> io::Result<u64> {
    const CHUNK: u64 = 64 << 10;
    let file = directory.storage().open(&directory.segment_path(base), Access::Read)?;
    let mut chunk = vec![0; usize::try_from(CHUNK).unwrap_or_default()];
    let mut end = bytes;
    while end > from {
        let begin = end.saturating_sub(CHUNK).max(from);
        let len = usize::try_from(end.saturating_sub(begin)).unwrap_or_default();
        let piece = chunk.get_mut(..len).unwrap_or_default();
        match file.read_exact_at(piece, HEADER_BYTES.saturating_add(begin)) {
            Ok(()) => {
                if let Some(index) = piece.iter().rposition(|byte| *byte != 0) {
                    let index = u64::try_from(index).unwrap_or_default();
                    return Ok(begin.saturating_add(index).saturating_add(1).next_multiple_of(8));
                }
            }
            // A file that is too short.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            // Nobody knows what stood there.
            Err(_) => return Ok(end),
        }
        end = begin;
    }
    Ok(from)
}
