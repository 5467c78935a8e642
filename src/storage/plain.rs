//! Opening what must be a plain file: under its name may stand anything, and a pipe would be waited for without end.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a plain file; an error where it is something else.
pub(super) fn open_plain(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Means nothing for plain files, and keeps the opening of others from waiting.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = options.custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is not a plain file"));
    }
    Ok(file)
}
