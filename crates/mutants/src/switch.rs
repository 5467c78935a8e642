//! Many mutants in one build, of which each run chooses one.
//!
//! A function gets a second body for each mutant in it, and asks at run time which to use:
//! `if crate::mutant(17) { broken body } else { body }`. Both are compiled from the production code's text; what stands
//! outside of the bodies is not touched.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::code::body_around;
use crate::table::Mutant;

/// Tells a test's process the number of its mutant; none where it is not set.
pub const CHOICE: &str = "TIDELOG_MUTANT";

/// What the library's root gets. The choice is read once: a run is one mutant from the beginning to the end.
pub const QUESTION: &str = "
#[allow(dead_code, reason = \"where no mutant is chosen in this build\")]
pub(crate) fn mutant(number: usize) -> bool {
    static CHOSEN: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    let chosen = || std::env::var(\"TIDELOG_MUTANT\").map_or(0, |number| number.parse().expect(\"a mutant's number\"));
    *CHOSEN.get_or_init(chosen) == number
}
";

/// One mutant and the number that chooses it.
pub type Numbered = (usize, &'static Mutant);

/// A file with bodies to choose from.
#[derive(Debug)]
pub struct Switched {
    pub text: String,
    /// The lines of each broken body, counted from 1, so that an error of the compiler finds its mutant.
    pub lines: Vec<(Range<usize>, Numbered)>,
}

/// Whether a mutant of this file's code can be chosen at run time.
pub fn can_switch(code: &str, mutant: &Mutant) -> bool {
    change(code, mutant).and_then(|(bytes, _)| body_around(code, &bytes)).is_some_and(|body| body.can_switch)
}

/// Puts mutants into the code of their file; each can be switched.
pub fn switch(code: &str, mutants: &[Numbered]) -> Switched {
    let mut bodies: BTreeMap<(usize, usize), Vec<(Numbered, String)>> = BTreeMap::new();
    for &numbered in mutants {
        let Some((bytes, replacement)) = change(code, numbered.1) else { continue };
        let Some(body) = body_around(code, &bytes).map(|body| body.range) else { continue };
        let broken = [&code[body.start..bytes.start], replacement, &code[bytes.end..body.end]].concat();
        bodies.entry((body.start, body.end)).or_default().push((numbered, broken));
    }
    let mut switched = Switched { text: String::new(), lines: Vec::new() };
    write(code, 0..code.len(), &bodies, &mut switched);
    switched
}

/// Appends these bytes of the code, and to each body in them its broken ones.
fn write(
    code: &str,
    bytes: Range<usize>,
    bodies: &BTreeMap<(usize, usize), Vec<(Numbered, String)>>,
    switched: &mut Switched,
) {
    let mut at = bytes.start;
    for (&(start, end), mutants) in bodies.range((bytes.start, usize::MAX)..) {
        // (A function in a function is part of the body that is written already.)
        if start < at || end > bytes.end {
            continue;
        }
        switched.text.push_str(&code[at..start]);
        for (numbered, broken) in mutants {
            switched.text.push_str(&format!(" if crate::mutant({}) {{", numbered.0));
            let first = line(&switched.text);
            switched.text.push_str(broken);
            switched.lines.push((first..line(&switched.text) + 1, *numbered));
            switched.text.push_str("} else");
        }
        switched.text.push_str(" {");
        // Functions in it may be broken too.
        write(code, start..end, bodies, switched);
        switched.text.push_str("} ");
        at = end;
    }
    switched.text.push_str(&code[at..bytes.end]);
}

fn line(text: &str) -> usize {
    text.matches('\n').count() + 1
}

/// What differs: the bytes of the code that go, and what comes in their place. A mutant's text may begin before the body
/// that it changes.
fn change<'mutant>(code: &str, mutant: &'mutant Mutant) -> Option<(Range<usize>, &'mutant str)> {
    let (text, replacement) = (mutant.text, mutant.replacement);
    let at = code.find(text)?;
    let same = |(one, other): &(char, char)| one == other;
    let before: usize =
        text.chars().zip(replacement.chars()).take_while(same).map(|(one, _)| one.len_utf8()).sum();
    let (text, replacement) = (&text[before..], &replacement[before..]);
    let behind: usize = text
        .chars()
        .rev()
        .zip(replacement.chars().rev())
        .take_while(same)
        .map(|(one, _)| one.len_utf8())
        .sum();
    let bytes = at + before..at + before + text.len() - behind;
    Some((bytes, &replacement[..replacement.len() - behind]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::LOOM;

    fn mutant(text: &'static str, replacement: &'static str) -> &'static Mutant {
        let (name, file, rule, test) = ("name", "src/lib.rs", "rule", ("target", "test"));
        Box::leak(Box::new(Mutant { name, file, text, replacement, suite: &LOOM, test, rule, quick: false }))
    }

    #[test]
    fn a_body_is_there_once_for_each_mutant() {
        let code = "fn a() -> u8 {\n    1 + 2\n}\nfn b() { c(); }\n";
        let mutants =
            [(5, mutant("1 +", "3 +")), (6, mutant("fn b() { c(); }", "fn b() { }")), (7, mutant("2", "4"))];
        assert!(mutants.iter().all(|(_, mutant)| can_switch(code, mutant)));
        let switched = switch(code, &mutants);
        assert_eq!(
            switched.text,
            "fn a() -> u8 { if crate::mutant(5) {\n    3 + 2\n} else if crate::mutant(7) {\n    1 + 4\n} else {\n    1 + 2\n} }\n\
             fn b() { if crate::mutant(6) { } else { c(); } }\n"
        );
        let lines: Vec<_> =
            switched.lines.iter().map(|(lines, (number, _))| (lines.clone(), *number)).collect();
        assert_eq!(lines, [(1..4, 5), (3..6, 7), (8..9, 6)]);
    }

    #[test]
    fn a_function_in_a_function_has_its_own() {
        let code = "fn a() { fn b() { 1; } 2; }";
        let switched = switch(code, &[(1, mutant("1", "3")), (2, mutant("2", "4"))]);
        assert_eq!(
            switched.text,
            "fn a() { if crate::mutant(2) { fn b() { 1; } 4; } else { fn b() { if crate::mutant(1) { 3; } else { 1; } } 2; } }"
        );
    }

    #[test]
    fn what_is_in_no_body_cannot_switch() {
        assert!(!can_switch("const A: u8 = 1; fn a() {}", mutant("1", "2")));
        assert!(!can_switch("fn a() -> u8 { 1 }", mutant("u8 { 1 }", "u16 { 1 }")));
        assert!(!can_switch("const fn a() -> u8 { 1 }", mutant("1", "2")));
    }
}
