//! The codecs: bytes to bytes, into buffers of a length that was decided before.

use super::context::Context;
#[cfg(feature = "zstd")]
use super::dictionary::Dictionary;
use super::fault::Fault;
use super::trailer::{self, Trailer};

/// How what is appended is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all. Each record still gets its trailer of one byte, so that others beside it may be compressed.
    #[default]
    None,
    /// LZ4's block format: little work, half to a third of the size for text.
    #[cfg(feature = "lz4")]
    Lz4,
    /// Zstd: more work, and smaller; also the one that takes a [`Dictionary`].
    #[cfg(feature = "zstd")]
    Zstd {
        /// From -7 (fast) to 22 (small); what lies beyond is taken as the nearest. 1 to 3 are for appends that somebody
        /// waits for.
        level: i32,
    },
}

/// The dictionary of a packer, where there can be one.
#[cfg(feature = "zstd")]
pub(super) type MaybeDictionary<'a> = Option<&'a Dictionary>;
#[cfg(not(feature = "zstd"))]
pub(super) type MaybeDictionary<'a> = Option<&'a core::convert::Infallible>;

/// Compresses `plain` to the end of `out`. What was done, or `None`, where there is nothing to be done or it failed; then
/// `out` holds anything.
#[cfg_attr(not(feature = "zstd"), allow(unused_variables, reason = "only Zstd takes a dictionary"))]
pub(super) fn compress(
    compression: Compression,
    dictionary: MaybeDictionary<'_>,
    plain: &[u8],
    out: &mut Vec<u8>,
    context: &mut Context,
) -> Option<Trailer> {
    let unpacked_bytes = u32::try_from(plain.len()).ok()?;
    let trailer = |codec, dictionary| Trailer { codec, is_batch: false, dictionary, unpacked_bytes };
    match compression {
        Compression::None => None,
        #[cfg(feature = "lz4")]
        Compression::Lz4 => {
            let table = if plain.len() < usize::from(u16::MAX) {
                context.lz4_small.get_or_insert_with(lz4_flex::block::CompressTable::small)
            } else {
                context.lz4_large.get_or_insert_with(lz4_flex::block::CompressTable::large)
            };
            out.resize(lz4_flex::block::get_maximum_output_size(plain.len()), 0);
            let bytes = lz4_flex::block::compress_into_with_table(plain, out, table).ok()?;
            out.truncate(bytes);
            Some(trailer(trailer::LZ4, None))
        }
        #[cfg(feature = "zstd")]
        Compression::Zstd { level } => {
            let compressor = match &mut context.compressor {
                Some(compressor) => compressor,
                empty => empty.insert(zstd::zstd_safe::CCtx::try_create()?),
            };
            out.clear();
            out.reserve(zstd::zstd_safe::compress_bound(plain.len()));
            let done = match dictionary {
                Some(dictionary) => compressor.compress_using_cdict(out, plain, dictionary.encoder(level)?),
                None => compressor.compress(out, plain, clamp_level(level)),
            };
            done.ok()?;
            Some(trailer(trailer::ZSTD, dictionary.map(Dictionary::id)))
        }
    }
}

#[cfg(feature = "zstd")]
pub(super) const LEVEL_MIN: i32 = -7;
#[cfg(feature = "zstd")]
pub(super) const LEVEL_MAX: i32 = 22;

#[cfg(feature = "zstd")]
pub(super) fn clamp_level(level: i32) -> i32 {
    level.clamp(LEVEL_MIN, LEVEL_MAX)
}

/// Whether `body` can become as many bytes as it claims at all, before room is made for them: a byte of LZ4 gives at most 255,
/// and a block of Zstd, which takes 4 bytes or more, at most 128 KiB.
pub(super) fn can_become(trailer: &Trailer, body: &[u8]) -> bool {
    let body = u64::try_from(body.len()).unwrap_or(u64::MAX);
    let most = match trailer.codec {
        trailer::LZ4 => body.saturating_mul(255),
        _ => (body / 4).saturating_add(1).saturating_mul(128 << 10),
    };
    u64::from(trailer.unpacked_bytes) <= most
}

/// Decompresses `body` into `out`, all of which it must fill.
#[cfg_attr(not(feature = "zstd"), allow(unused_variables, reason = "LZ4 needs neither"))]
pub(super) fn decompress(
    trailer: &Trailer,
    dictionary: MaybeDictionary<'_>,
    body: &[u8],
    out: &mut [u8],
    context: &mut Context,
) -> Result<(), Fault> {
    if body.is_empty() {
        // No frame at all: to Zstd that is nothing, decompressed.
        return Err(Fault::Damaged("it has no body"));
    }
    let bytes = match trailer.codec {
        #[cfg(feature = "lz4")]
        trailer::LZ4 => lz4_flex::block::decompress_into(body, out)
            .map_err(|_| Fault::Damaged("LZ4 cannot decompress it"))?,
        #[cfg(feature = "zstd")]
        trailer::ZSTD => {
            let failed = Fault::Damaged("Zstd cannot decompress it");
            let decompressor = match &mut context.decompressor {
                Some(decompressor) => decompressor,
                empty => empty.insert(zstd::zstd_safe::DCtx::try_create().ok_or(failed)?),
            };
            let done = match dictionary {
                Some(dictionary) => decompressor.decompress_using_ddict(out, body, dictionary.decoder()),
                None => decompressor.decompress(out, body),
            };
            done.map_err(|_| failed)?
        }
        _ => 0,
    };
    if bytes == out.len() { Ok(()) } else { Err(Fault::Damaged("it is not as long as its trailer says")) }
}

/// The feature that a codec needs, where it is off.
pub(super) fn feature_off(codec: u8) -> Option<&'static str> {
    match codec {
        trailer::LZ4 if cfg!(not(feature = "lz4")) => Some("lz4"),
        trailer::ZSTD if cfg!(not(feature = "zstd")) => Some("zstd"),
        _ => None,
    }
}
