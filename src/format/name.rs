//! File names in the log's directory.

use crate::limits::{CURSOR_NAME_MAX, POSITION_MAX};

/// What the log is and where it begins.
pub(crate) const META: &str = "log.meta";
/// Locked by the writing process; says which one.
pub(crate) const LOCK: &str = "log.lock";
/// The end of a name that is not in force yet; such files are removed at open.
pub(crate) const TEMPORARY: &str = ".tmp";

/// What a name in the directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// A segment, by its base LSN.
    Segment(u64),
    /// An allocated, zeroed file without a place in the log yet.
    Spare(u64),
    /// A consumer's position; its name stands before `.cursor`.
    Cursor,
    /// Left over from an interrupted operation.
    Temporary,
    /// `log.meta` or `log.lock`.
    Own,
    /// Not ours: left alone.
    Foreign,
}

/// Name of the segment that begins at `base`: decimal, so that an LSN leads to its file by eye.
pub(crate) fn segment(base: u64) -> String {
    format!("{base:020}.seg")
}

/// Name of the spare file with this running number.
pub(crate) fn spare(number: u64) -> String {
    format!("{number:020}.spare")
}

/// Ends the name of a cursor's file.
const CURSOR: &str = ".cursor";

/// Name of the file of the cursor with this name.
pub(crate) fn cursor(name: &str) -> String {
    format!("{name}{CURSOR}")
}

/// The name of the cursor that a file is of.
pub(crate) fn cursor_of(file: &str) -> Option<&str> {
    file.strip_suffix(CURSOR).filter(|name| is_cursor_name(name))
}

/// True for what a cursor may be called: 1 to 64 letters, digits, `_`, `-` and `.` of ASCII, not a `.` or a `-` first. So it
/// is a file name everywhere, is not hidden, and no tool takes it for an option.
pub(crate) fn is_cursor_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=CURSOR_NAME_MAX).contains(&name.len()) && name.bytes().all(fits) && !name.starts_with(['.', '-'])
}

/// What `name` stands for.
pub(crate) fn parse(name: &str) -> Name {
    let number = |digits: &str| {
        (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| digits.parse().ok())
            .flatten()
    };
    if name == META || name == LOCK {
        return Name::Own;
    }
    if let Some(stem) = name.strip_suffix(TEMPORARY) {
        return if stem == META || parse(stem) != Name::Foreign { Name::Temporary } else { Name::Foreign };
    }
    if cursor_of(name).is_some() {
        return Name::Cursor;
    }
    if let Some(base) = name.strip_suffix(".seg").and_then(number) {
        // No log reaches as far, and sums of positions stay in range.
        return if base < POSITION_MAX { Name::Segment(base) } else { Name::Foreign };
    }
    name.strip_suffix(".spare").and_then(number).map_or(Name::Foreign, Name::Spare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_foreign_files_stay_foreign() {
        assert_eq!(parse(&segment(67108864)), Name::Segment(67108864));
        assert_eq!(parse(&spare(3)), Name::Spare(3));
        assert_eq!(parse(&format!("{}.tmp", segment(0))), Name::Temporary);
        assert_eq!(parse("log.meta.tmp"), Name::Temporary);
        assert_eq!(parse("log.lock"), Name::Own);
        assert_eq!(parse("log.meta"), Name::Own);
        assert_eq!(parse(&format!("{}.tmp", spare(4))), Name::Temporary);
        assert_eq!((segment(65536), spare(7)), (format!("{:020}.seg", 65536), format!("{:020}.spare", 7)));
        assert_eq!(parse(&cursor("indexer")), Name::Cursor);
        assert_eq!(parse("indexer.cursor.tmp"), Name::Temporary);
        assert_eq!(cursor_of("a.b-C_9.cursor"), Some("a.b-C_9"));
        assert_eq!(cursor_of(&cursor(&"x".repeat(64))), Some(&*"x".repeat(64)));
        assert_eq!(parse(&cursor(&"x".repeat(65))), Name::Foreign);
        assert_eq!(parse("log.meta.cursor"), Name::Cursor);
        for foreign in [
            ".cursor",
            "..cursor",
            ".x.cursor",
            "-x.cursor",
            "a b.cursor",
            "ä.cursor",
            "a/b.cursor",
            "x.cursor2",
            "cursor",
            "notes.tmp",
            "log.meta2",
            "000000000000000000001.seg",
            "1.spare",
            "1.seg",
            "+0000000000000000001.seg",
            ".seg",
            "",
            "99999999999999999999.seg",
        ] {
            assert_eq!(parse(foreign), Name::Foreign, "{foreign}");
        }
        for beyond in [POSITION_MAX, u64::MAX - 65535, u64::MAX] {
            assert_eq!(parse(&segment(beyond)), Name::Foreign, "{beyond}");
        }
    }
}
