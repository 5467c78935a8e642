//! The trailer: what stands behind a payload and says how it is to be read.

use super::fault::Fault;

const CODEC: u8 = 0x0f;
const BATCH: u8 = 0x10;
const DICTIONARY: u8 = 0x20;
const LAYOUT: u8 = 0xc0;
/// The layout of this version: not zero, so that a record of zeros is no envelope.
const LAYOUT_1: u8 = 0x40;

pub(super) const RAW: u8 = 0;
pub(super) const LZ4: u8 = 1;
pub(super) const ZSTD: u8 = 2;

/// The whole trailer of a raw payload.
pub(super) const RAW_TAG: u8 = LAYOUT_1 | RAW;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    pub(super) codec: u8,
    pub(super) is_batch: bool,
    pub(super) dictionary: Option<u32>,
    /// Of a raw payload nothing is recorded: it is as long as it is.
    pub(super) unpacked_bytes: u32,
}

impl Trailer {
    /// How long it is, in bytes, when it is not of a raw payload.
    pub(super) fn bytes(&self) -> usize {
        if self.dictionary.is_some() { 9 } else { 5 }
    }

    /// Puts it behind a compressed payload.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let mut tag = LAYOUT_1 | self.codec;
        if self.is_batch {
            tag |= BATCH;
        }
        if let Some(id) = self.dictionary {
            tag |= DICTIONARY;
            out.extend_from_slice(&id.to_le_bytes());
        }
        out.extend_from_slice(&self.unpacked_bytes.to_le_bytes());
        out.push(tag);
    }

    /// Takes an envelope apart: what is before the trailer, and what that says.
    pub(super) fn split(envelope: &[u8]) -> Result<(&[u8], Self), Fault> {
        let Some((&tag, rest)) = envelope.split_last() else {
            return Err(Fault::Damaged("it is empty, so it has no trailer"));
        };
        let (codec, is_batch, has_dictionary) = (tag & CODEC, tag & BATCH != 0, tag & DICTIONARY != 0);
        let has_sense = match codec {
            RAW => !is_batch && !has_dictionary,
            LZ4 => !has_dictionary,
            ZSTD => true,
            _ => false,
        };
        if tag & LAYOUT != LAYOUT_1 || !has_sense {
            return Err(Fault::Unknown(tag));
        }
        if codec == RAW {
            return Ok((rest, Self { codec, is_batch, dictionary: None, unpacked_bytes: 0 }));
        }
        let cut = Fault::Damaged("its trailer is cut");
        let (rest, bytes) = rest.split_last_chunk().ok_or(cut)?;
        let unpacked_bytes = u32::from_le_bytes(*bytes);
        let (body, dictionary) = if has_dictionary {
            let (body, id) = rest.split_last_chunk().ok_or(cut)?;
            (body, Some(u32::from_le_bytes(*id)))
        } else {
            (rest, None)
        };
        Ok((body, Self { codec, is_batch, dictionary, unpacked_bytes }))
    }
}
