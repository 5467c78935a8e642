//! What pictures have in common: where they go, how they look, and how texts stand in them.

pub(crate) mod page;
pub(crate) mod svg;
mod target;

pub(crate) use self::target::Target;

/// The columns that are there, by the variable `COLUMNS` or by the terminal, or as many as there usually are.
pub(crate) fn terminal_width() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let size = || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    told.or_else(size).filter(|columns| *columns > 0).unwrap_or(80).clamp(40, 1000)
}
