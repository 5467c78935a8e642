//! Where a record stands when several may share an LSN.

use core::fmt;

use crate::Lsn;

/// Where a record stands: the LSN of the log's record, and its index in there, from 0. A record that is alone has index 0,
/// so an [`Lsn`] is an address too.
///
/// Addresses are ordered as their records are.
///
/// ```
/// use tidelog::{Lsn, compress::Address};
///
/// let third = Address::new(Lsn::new(4096), 2);
/// assert!(third > Address::from(Lsn::new(4096)));
/// assert_eq!(third.to_string(), "4096.2");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    lsn: Lsn,
    index: u32,
}

impl Address {
    /// The address of the record number `index` of what stands at `lsn`.
    #[must_use]
    pub const fn new(lsn: Lsn, index: u32) -> Self {
        Self { lsn, index }
    }

    /// The LSN of the log's record.
    #[must_use]
    pub const fn lsn(self) -> Lsn {
        self.lsn
    }

    /// The index in a packed batch; 0 for a record that is alone.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }
}

impl From<Lsn> for Address {
    fn from(lsn: Lsn) -> Self {
        Self::new(lsn, 0)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.lsn, self.index)
    }
}

/// The addresses of a batch that was appended, in its order.
#[derive(Clone, Debug)]
pub struct BatchAddresses(pub(super) Addresses);

#[derive(Clone, Debug)]
pub(super) enum Addresses {
    /// One record of the log holds them all.
    Packed(Lsn, core::ops::Range<u32>),
    /// Each is a record of the log.
    Raw(std::vec::IntoIter<Lsn>),
}

impl BatchAddresses {
    /// True when the batch was compressed as a whole, and is one record of the log.
    #[must_use]
    pub fn is_packed(&self) -> bool {
        matches!(self.0, Addresses::Packed(..))
    }
}

impl Iterator for BatchAddresses {
    type Item = Address;

    fn next(&mut self) -> Option<Address> {
        match &mut self.0 {
            Addresses::Packed(lsn, indices) => indices.next().map(|index| Address::new(*lsn, index)),
            Addresses::Raw(lsns) => lsns.next().map(Address::from),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Addresses::Packed(_, indices) => indices.size_hint(),
            Addresses::Raw(lsns) => lsns.size_hint(),
        }
    }
}

impl ExactSizeIterator for BatchAddresses {}
