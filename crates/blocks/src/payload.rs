//! Records whose contents follow from who wrote them, so that a reader can tell a record that was never appended.

use std::fmt;
use std::str::FromStr;

use crate::system::Random;

/// Who wrote a record: the writer's run and thread, the unit's number in that thread, and the place in the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    pub run: u16,
    pub thread: u16,
    pub unit: u32,
    /// Place in the batch, and how many records it has; 0 of 1 outside of batches.
    pub index: u16,
    pub count: u16,
    /// Length of the payload.
    pub len: u32,
}

/// The shortest payload that holds its identity.
pub const PAYLOAD_MIN: u32 = 16;

impl Id {
    pub fn payload(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len as usize + 8);
        bytes.extend_from_slice(&self.run.to_le_bytes());
        bytes.extend_from_slice(&self.thread.to_le_bytes());
        bytes.extend_from_slice(&self.unit.to_le_bytes());
        bytes.extend_from_slice(&self.index.to_le_bytes());
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes.extend_from_slice(&self.len.to_le_bytes());
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
        let mut random = Random(word(0) ^ word(8).rotate_left(32));
        while bytes.len() < self.len as usize {
            bytes.extend_from_slice(&random.next().to_le_bytes());
        }
        bytes.truncate(self.len as usize);
        bytes
    }

    /// Reads a payload; `None` when it is none of these.
    pub fn of(payload: &[u8]) -> Option<Self> {
        let short = |at: usize| Some(u16::from_le_bytes(payload.get(at..at + 2)?.try_into().ok()?));
        let long = |at: usize| Some(u32::from_le_bytes(payload.get(at..at + 4)?.try_into().ok()?));
        let id = Self {
            run: short(0)?,
            thread: short(2)?,
            unit: long(4)?,
            index: short(8)?,
            count: short(10)?,
            len: long(12)?,
        };
        (id.len as usize == payload.len() && id.payload() == payload).then_some(id)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}.{}.{}", self.run, self.thread, self.unit, self.index, self.count, self.len)
    }
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let broken = || format!("{text} names no record");
        let mut numbers = text.split('.').map(|field| field.parse::<u32>().map_err(|_| broken()));
        let mut next = || numbers.next().ok_or_else(broken)?;
        let short = |number: u32| u16::try_from(number).map_err(|_| broken());
        Ok(Self {
            run: short(next()?)?,
            thread: short(next()?)?,
            unit: next()?,
            index: short(next()?)?,
            count: short(next()?)?,
            len: next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_tell_who_wrote_them() {
        let id = Id { run: 1, thread: 2, unit: 3, index: 1, count: 4, len: 555 };
        assert_eq!(Id::of(&id.payload()), Some(id));
        assert_eq!(id.to_string().parse(), Ok(id));
        let mut bent = id.payload();
        bent[554] ^= 1;
        assert_eq!(Id::of(&bent), None);
        assert_eq!(Id::of(&[]), None);
    }
}
