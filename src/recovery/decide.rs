//! What recovery does with what it finds: the table of `docs/DURABILITY.md`, as code.

/// How the walk over the frames ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Only zeros follow.
    Clean,
    /// A claim that was not published, or zeros with something after them.
    Hole,
    /// A frame that does not verify.
    Bad,
}

/// All that the decision depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finding {
    pub(super) stop: Stop,
    /// Evidence says that more than what reads back was durable.
    pub(super) below_proven: bool,
    /// The last writer ran in this boot, so the page cache has every store that it made.
    pub(super) same_boot: bool,
    /// A valid frame stands behind the stop.
    pub(super) frames_follow: bool,
    /// The last writer acknowledged appends when they were published, not when they were durable.
    pub(super) acks_published: bool,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The log ends here.
    Keep,
    /// The hole is a claim that never returned: it becomes padding, and what follows is kept.
    Pad,
    /// The rest was promised to nobody: it is cut away and reported.
    Truncate,
    /// Promised records are damaged: opening fails and changes nothing.
    Corrupt,
}

/// One row: `None` stands for either.
struct Row {
    stop: Option<Stop>,
    below_proven: Option<bool>,
    same_boot: Option<bool>,
    frames_follow: Option<bool>,
    acks_published: Option<bool>,
    verdict: Verdict,
}

const fn row(
    stop: Option<Stop>,
    below_proven: Option<bool>,
    same_boot: Option<bool>,
    frames_follow: Option<bool>,
    acks_published: Option<bool>,
    verdict: Verdict,
) -> Row {
    Row { stop, below_proven, same_boot, frames_follow, acks_published, verdict }
}

const NO: Option<bool> = Some(false);
const YES: Option<bool> = Some(true);
const ANY: Option<bool> = None;

/// Exactly one row matches every finding; the test proves it. Kept in step with `docs/DURABILITY.md`.
const TABLE: [Row; 9] = [
    //  stop               proven same follow acks-published
    row(None, YES, ANY, ANY, ANY, Verdict::Corrupt),
    row(Some(Stop::Clean), NO, ANY, ANY, ANY, Verdict::Keep),
    row(Some(Stop::Hole), NO, YES, YES, ANY, Verdict::Pad),
    row(Some(Stop::Hole), NO, YES, NO, ANY, Verdict::Truncate),
    row(Some(Stop::Hole), NO, NO, ANY, ANY, Verdict::Truncate),
    row(Some(Stop::Bad), NO, YES, YES, YES, Verdict::Corrupt),
    row(Some(Stop::Bad), NO, YES, YES, NO, Verdict::Truncate),
    row(Some(Stop::Bad), NO, YES, NO, ANY, Verdict::Truncate),
    row(Some(Stop::Bad), NO, NO, ANY, ANY, Verdict::Truncate),
];

impl Row {
    fn matches(&self, finding: &Finding) -> bool {
        let fits = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
        self.stop.is_none_or(|stop| stop == finding.stop)
            && fits(self.below_proven, finding.below_proven)
            && fits(self.same_boot, finding.same_boot)
            && fits(self.frames_follow, finding.frames_follow)
            && fits(self.acks_published, finding.acks_published)
    }
}

/// The verdict on a finding.
pub(super) fn decide(finding: &Finding) -> Verdict {
    // The table is total, so the fallback is never taken; it is the one that loses nothing.
    TABLE.iter().find(|row| row.matches(finding)).map_or(Verdict::Corrupt, |row| row.verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_finding() -> Vec<Finding> {
        let mut all = Vec::new();
        for stop in [Stop::Clean, Stop::Hole, Stop::Bad] {
            for bits in 0..16_u8 {
                let bit = |index: u8| bits & (1 << index) != 0;
                all.push(Finding {
                    stop,
                    below_proven: bit(0),
                    same_boot: bit(1),
                    frames_follow: bit(2),
                    acks_published: bit(3),
                });
            }
        }
        all
    }

    #[test]
    fn exactly_one_row_matches_every_finding() {
        for finding in every_finding() {
            let rows = TABLE.iter().filter(|row| row.matches(&finding)).count();
            assert_eq!(rows, 1, "{finding:?}");
        }
        for (index, row) in TABLE.iter().enumerate() {
            assert!(every_finding().iter().any(|finding| row.matches(finding)), "row {index} is never used");
        }
    }

    /// What must hold whatever the table says.
    #[test]
    fn verdicts_keep_the_guarantees() {
        for finding in every_finding() {
            let verdict = decide(&finding);
            if finding.below_proven {
                assert_eq!(verdict, Verdict::Corrupt, "G7: {finding:?}");
            }
            if verdict == Verdict::Pad {
                assert!(finding.same_boot, "G5: after a power cut nothing behind a gap is kept: {finding:?}");
            }
            if finding.stop == Stop::Hole && finding.same_boot && finding.frames_follow {
                assert_ne!(verdict, Verdict::Truncate, "G3: published frames are kept: {finding:?}");
            }
            if finding.stop == Stop::Bad {
                assert!(matches!(verdict, Verdict::Truncate | Verdict::Corrupt), "{finding:?}");
            }
        }
    }
}
