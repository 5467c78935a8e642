//! What the fuzz targets share: the format once more, from `docs/FORMAT.md` alone, and logs to begin with.

pub mod forge;
pub mod format;
pub mod golden;
pub mod hostile;
pub mod records;
pub mod walks;

