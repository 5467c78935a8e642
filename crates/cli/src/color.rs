//! Colours, for people at a terminal.

use std::io::IsTerminal;

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum When {
    /// At a terminal, unless `NO_COLOR` is set.
    Auto,
    Always,
    Never,
}

/// Whether to use colours, on standard output and on standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Colors {
    pub(crate) out: bool,
    err: bool,
}

/// A colour, by what it says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tone {
    Good,
    Doubtful,
    Bad,
}

impl Colors {
    pub(crate) fn new(when: When) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match when {
            When::Always => Self { out: true, err: true },
            When::Never => Self { out: false, err: false },
            When::Auto => Self {
                out: !plain && std::io::stdout().is_terminal(),
                err: !plain && std::io::stderr().is_terminal(),
            },
        }
    }

    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if self.out { painted(tone, text) } else { text.to_owned() }
    }

    /// Tells the user, on standard error, why the command failed.
    pub(crate) fn complain(self, what: &str) {
        let name = if self.err { painted(Tone::Bad, "tidelog:") } else { "tidelog:".to_owned() };
        eprintln!("{name} {what}");
    }

    /// A remark on standard error.
    pub(crate) fn remark(self, what: &str) {
        let name = if self.err { painted(Tone::Doubtful, "tidelog:") } else { "tidelog:".to_owned() };
        eprintln!("{name} {what}");
    }
}

fn painted(tone: Tone, text: &str) -> String {
    let code = match tone {
        Tone::Good => 32,
        Tone::Doubtful => 33,
        Tone::Bad => 31,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}
