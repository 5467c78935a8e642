//! Why an envelope does not open.

use crate::{Error, ErrorKind, Lsn};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The trailer is not of a kind that this version writes.
    Unknown(u8),
    /// The codec is known, and its feature is off.
    FeatureOff(&'static str),
    NoDictionary(u32),
    OverMaximum {
        claimed: u64,
        max: u64,
    },
    Damaged(&'static str),
    NoIndex {
        asked: u32,
        count: u32,
    },
}

impl Fault {
    pub(super) fn at(self, lsn: Option<Lsn>) -> Error {
        let (kind, what) = match self {
            Self::Unknown(tag) => (
                ErrorKind::Unsupported,
                format!(
                    "its trailer has the tag {tag:#04x}, which this version does not know; read it with the program that \
                     wrote it, or, if it was appended without an envelope, through the plain log"
                ),
            ),
            Self::FeatureOff(feature) => {
                (ErrorKind::Unsupported, format!("it needs tidelog's feature `{feature}`; build with that"))
            }
            Self::NoDictionary(id) => (
                ErrorKind::NotFound,
                format!(
                    "it was compressed with the dictionary {id:#010x}; give that to Packer::known_dictionary"
                ),
            ),
            Self::OverMaximum { claimed, max } => (
                ErrorKind::TooLarge,
                format!(
                    "it claims {claimed} bytes, over this reader's maximum of {max}; raise Packer::unpacked_bytes_max if \
                     you trust who wrote it"
                ),
            ),
            Self::Damaged(why) => (
                ErrorKind::Undecodable,
                format!("{why}; go on behind it, or read its bytes through the plain log"),
            ),
            Self::NoIndex { asked, count } => (
                ErrorKind::NotARecord,
                format!("it holds {count} records, and number {asked} was asked for (from 0)"),
            ),
        };
        Error::unpacking(kind, &what, lsn)
    }
}
