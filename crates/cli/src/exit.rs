//! What a run ends with: the exit code, and the errors that lead to one.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use tidelog::ErrorKind;

use crate::problem::Problem;

/// The exit codes. The order is that of their weight: the worst that was met wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Clean,
    Repaired,
    /// What lies behind the end of the log was promised to nobody; the next opening cuts it away.
    TornTail,
    NotFound,
    Locked,
    Usage,
    /// A segment's file is missing.
    Gap,
    /// Another version of the format.
    Version,
    Io,
    Corrupt,
}

/// As `--help` and the manual tell it.
pub(crate) const EXIT_CODES: &str = "\
Exit codes (the worst that was met):
   0  clean
   1  input or output failed
   2  wrong usage
   3  a torn tail, and nothing else: the next opening cuts it away, and nobody was promised what is in it
   4  corruption
   5  not found: no log, no record, no cursor
   6  locked: a writer has the log open
   7  a gap: a segment's file is missing
   8  another version of the format
  10  repaired";

impl Outcome {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Io => 1,
            Self::Usage => 2,
            Self::TornTail => 3,
            Self::Corrupt => 4,
            Self::NotFound => 5,
            Self::Locked => 6,
            Self::Gap => 7,
            Self::Version => 8,
            Self::Repaired => 10,
        }
    }

    /// One word for programs.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Io => "io",
            Self::Usage => "usage",
            Self::TornTail => "torn-tail",
            Self::Corrupt => "corrupt",
            Self::NotFound => "not-found",
            Self::Locked => "locked",
            Self::Gap => "gap",
            Self::Version => "version",
            Self::Repaired => "repaired",
        }
    }

    /// What an error of the library comes to.
    pub(crate) fn of(error: &tidelog::Error) -> Self {
        match error.kind() {
            // The name of a segment that is not there: the library reports a gap as corruption, as records are gone.
            ErrorKind::Corrupt if is_missing_segment(error) => Self::Gap,
            ErrorKind::Corrupt | ErrorKind::CursorAhead => Self::Corrupt,
            ErrorKind::Locked | ErrorKind::Held => Self::Locked,
            ErrorKind::NotFound | ErrorKind::Retired | ErrorKind::NotWritten | ErrorKind::NotARecord => {
                Self::NotFound
            }
            ErrorKind::Unsupported => Self::Version,
            ErrorKind::InvalidOption | ErrorKind::TooLarge => Self::Usage,
            _ => Self::Io,
        }
    }
}

fn is_missing_segment(error: &tidelog::Error) -> bool {
    error.path().is_some_and(|path| path.extension().is_some_and(|end| end == "seg") && !path.exists())
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        outcome.code().into()
    }
}

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum Fail {
    Log(tidelog::Error),
    Problem(Problem),
    Io {
        what: String,
        source: io::Error,
    },
    Usage(String),
    /// What was to be read is not what it should be.
    Input(String),
    NotFound(String),
    Locked(String),
    /// What is wrong with a log keeps the command from its work.
    Refused(Outcome, String),
    /// Who reads our output has had enough.
    ReaderGone,
}

impl Fail {
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Log(error) => Outcome::of(error),
            Self::Problem(problem) => problem.outcome,
            Self::Io { .. } | Self::Input(_) => Outcome::Io,
            Self::Usage(_) => Outcome::Usage,
            Self::NotFound(_) => Outcome::NotFound,
            Self::Locked(_) => Outcome::Locked,
            Self::Refused(outcome, _) => *outcome,
            Self::ReaderGone => Outcome::Clean,
        }
    }

    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }

    /// A failed write to standard output.
    pub(crate) fn output(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::io("cannot write to standard output", source),
        }
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The library names its own way to make one.
            Self::Log(error) if error.kind() == ErrorKind::NotFound => {
                let path = error.path().unwrap_or(Path::new("")).display();
                write!(f, "there is no log in {path}; `tidelog append --create` makes one")
            }
            Self::Log(error) => error.fmt(f),
            Self::Problem(problem) => f.write_str(&problem.message),
            Self::Io { what, source } => write!(f, "{what}: {source}"),
            Self::Usage(what)
            | Self::Input(what)
            | Self::NotFound(what)
            | Self::Locked(what)
            | Self::Refused(_, what) => f.write_str(what),
            Self::ReaderGone => f.write_str("the reader of the output has gone"),
        }
    }
}

impl From<tidelog::Error> for Fail {
    fn from(error: tidelog::Error) -> Self {
        Self::Log(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_wins_and_no_code_is_used_twice() {
        let all = [
            Outcome::Clean,
            Outcome::Repaired,
            Outcome::TornTail,
            Outcome::NotFound,
            Outcome::Locked,
            Outcome::Usage,
            Outcome::Gap,
            Outcome::Version,
            Outcome::Io,
            Outcome::Corrupt,
        ];
        assert!(all.is_sorted());
        let mut codes = all.map(Outcome::code).to_vec();
        codes.sort_unstable();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]);
        for outcome in all {
            assert!(EXIT_CODES.contains(&format!("\n  {:>2}  ", outcome.code())), "{outcome:?}");
        }
        assert_eq!(Outcome::TornTail.max(Outcome::Corrupt), Outcome::Corrupt);
    }
}
