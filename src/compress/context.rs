//! What a thread keeps from one record to the next: buffers, and the states of the codecs.

use core::cell::Cell;

/// A buffer that grew larger for one record is given back.
const KEPT_BYTES_MAX: usize = 4 << 20;

#[derive(Default)]
pub(super) struct Context {
    /// A batch before it is compressed.
    pub(super) plain: Vec<u8>,
    /// An envelope on its way into the log.
    pub(super) envelope: Vec<u8>,
    #[cfg(feature = "lz4")]
    pub(super) lz4_small: Option<lz4_flex::block::CompressTable>,
    #[cfg(feature = "lz4")]
    pub(super) lz4_large: Option<lz4_flex::block::CompressTable>,
    #[cfg(feature = "zstd")]
    pub(super) compressor: Option<zstd::zstd_safe::CCtx<'static>>,
    #[cfg(feature = "zstd")]
    pub(super) decompressor: Option<zstd::zstd_safe::DCtx<'static>>,
}

thread_local! {
    static CONTEXT: Cell<Option<Box<Context>>> = const { Cell::new(None) };
}

/// Lends the thread's context. It is taken out meanwhile, so whoever comes here again from within (a listener of the log that
/// appends to another) gets a new one in place of a panic; and so does a thread that is ending.
pub(super) fn with_context<R>(work: impl FnOnce(&mut Context) -> R) -> R {
    let mut context = CONTEXT.try_with(Cell::take).ok().flatten().unwrap_or_default();
    let result = work(&mut context);
    for buffer in [&mut context.plain, &mut context.envelope] {
        buffer.clear();
        buffer.shrink_to(KEPT_BYTES_MAX);
    }
    let _ = CONTEXT.try_with(|kept| kept.set(Some(context)));
    result
}

/// The first `bytes` of a buffer whose length only grows, so that it is zeroed once.
pub(super) fn room(buffer: &mut Vec<u8>, bytes: usize) -> &mut [u8] {
    if buffer.len() < bytes {
        buffer.reserve_exact(bytes.saturating_sub(buffer.len()));
        buffer.resize(bytes, 0);
    }
    buffer.get_mut(..bytes).unwrap_or_default()
}
