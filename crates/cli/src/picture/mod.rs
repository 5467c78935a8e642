//! What pictures have in common: where they go, how they look, and how texts stand in them.

pub(crate) mod page;
pub(crate) mod svg;
mod target;

pub(crate) use self::target::Target;

/// The columns of the terminal, or as many as there usually are.
pub(crate) fn terminal_width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(80)
}
