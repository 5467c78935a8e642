//! The address of a record.

use core::fmt;
use core::str::FromStr;

use crate::error::Error;

/// A log sequence number: the byte position of a record's frame in the whole log.
///
/// LSNs order records as they were appended, are stable for the life of the log (also across
/// restarts and retirement of older segments) and are never reused. They are positions, not
/// counters: the next record's LSN is larger by the size of the frame, not by one.
///
/// ```
/// use tidelog::Lsn;
///
/// let lsn: Lsn = "4096".parse()?;
/// assert_eq!(lsn.get(), 4096);
/// assert_eq!(lsn.to_string(), "4096");
/// assert!(lsn > Lsn::ZERO);
/// # Ok::<(), tidelog::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Lsn(u64);

impl Lsn {
    /// The position of the first record that a new log ever holds.
    pub const ZERO: Self = Self(0);

    /// The LSN at a byte position.
    #[must_use]
    pub const fn new(position: u64) -> Self {
        Self(position)
    }

    /// The byte position, in bytes since the beginning of the log.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Lsn {
    type Err = Error;

    /// Reads what `Display` prints: a decimal byte position.
    ///
    /// # Errors
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption) when the text is not a decimal number below 2^64.
    fn from_str(text: &str) -> Result<Self, Error> {
        text.parse().map(Self).map_err(|_| {
            Error::invalid_option(format!(
                "{text:?} is not an LSN; give the decimal byte position that tidelog printed"
            ))
        })
    }
}

impl From<Lsn> for u64 {
    fn from(lsn: Lsn) -> Self {
        lsn.0
    }
}

impl From<u64> for Lsn {
    fn from(position: u64) -> Self {
        Self(position)
    }
}
