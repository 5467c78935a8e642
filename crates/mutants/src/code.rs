//! Just enough of Rust's syntax to find the bodies of functions.

use std::ops::Range;

/// What stands between the braces of a function, and what its head says of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Body {
    /// Bytes of the file, without the braces.
    pub range: Range<usize>,
    /// Whether it can ask at run time which mutant is chosen, and have a second body of the same type: not in a
    /// `const fn`, and not where `impl Trait` stands for a type that each body would have its own of.
    pub can_switch: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'code> {
    Word(&'code str),
    /// A literal, whatever is in it.
    Literal,
    Mark(u8),
}

/// The body of the innermost function around these bytes.
pub fn body_around(code: &str, bytes: &Range<usize>) -> Option<Body> {
    bodies(code)
        .into_iter()
        .filter(|body| body.range.start <= bytes.start && bytes.end <= body.range.end)
        .min_by_key(|body| body.range.len())
}

fn bodies(code: &str) -> Vec<Body> {
    let tokens = tokens(code);
    let is_function = |&at: &usize| {
        tokens[at].0 == Token::Word("fn") && matches!(tokens.get(at + 1), Some((Token::Word(_), _)))
    };
    (0..tokens.len()).filter(is_function).filter_map(|at| body(&tokens, at)).collect()
}

/// The body of the function whose `fn` this is, if it has one.
fn body(tokens: &[(Token, usize)], at: usize) -> Option<Body> {
    let qualifiers = tokens[..at].iter().rev().map(|(token, _)| token);
    let constant = qualifiers
        .take_while(|token| {
            matches!(token, Token::Literal | Token::Word("const" | "async" | "unsafe" | "extern"))
        })
        .any(|token| *token == Token::Word("const"));
    let (mut depth, mut returns, mut opaque) = (0_usize, false, false);
    let mut open = at;
    loop {
        open += 1;
        match tokens.get(open)?.0 {
            Token::Mark(b'(' | b'[') => depth += 1,
            Token::Mark(b')' | b']') => depth = depth.checked_sub(1)?,
            Token::Mark(b'{') if depth == 0 => break,
            Token::Mark(b';') if depth == 0 => return None,
            Token::Mark(b'>') if depth == 0 && tokens[open - 1].0 == Token::Mark(b'-') => returns = true,
            Token::Word("where") => returns = false,
            Token::Word("impl") => opaque |= returns,
            _ => {}
        }
    }
    let mut depth = 0_usize;
    for (token, place) in &tokens[open..] {
        match token {
            Token::Mark(b'{') => depth += 1,
            Token::Mark(b'}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(Body { range: tokens[open].1 + 1..*place, can_switch: !constant && !opaque });
        }
    }
    None
}

/// The tokens, each with the place where it begins.
fn tokens(code: &str) -> Vec<(Token<'_>, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = code.as_bytes().get(at) {
        let rest = &code[at..];
        let (token, bytes) = if rest.starts_with("//") {
            (None, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (None, block_comment_bytes(rest))
        } else if let Some(bytes) = literal_bytes(rest) {
            (Some(Token::Literal), bytes)
        } else if is_word(byte) {
            let bytes = rest.bytes().take_while(|&byte| is_word(byte)).count();
            (Some(Token::Word(&rest[..bytes])), bytes)
        } else {
            ((!byte.is_ascii_whitespace()).then_some(Token::Mark(byte)), 1)
        };
        found.extend(token.map(|token| (token, at)));
        at += bytes;
    }
    found
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

fn block_comment_bytes(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the string or character that begins here.
fn literal_bytes(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r"].into_iter().find(|prefix| {
        rest.strip_prefix(prefix).is_some_and(|rest| {
            rest.starts_with('"')
                || prefix.ends_with('r') && rest.trim_start_matches('#').starts_with('"')
                || *prefix == "b" && rest.starts_with('\'')
        })
    });
    let prefix = prefix.unwrap_or("");
    let quoted = &rest[prefix.len()..];
    if prefix.ends_with('r') {
        let end = format!("\"{}", "#".repeat(quoted.find('"')?));
        let begin = prefix.len() + end.len();
        return Some(begin + rest[begin..].find(&end)? + end.len());
    }
    let quote = quoted.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    if quote == '\'' && prefix.is_empty() {
        // `'a` is a lifetime, `'a'` a character.
        let mut characters = quoted.chars().skip(1);
        let first = characters.next()?;
        if first != '\\' && characters.next() != Some('\'') {
            return None;
        }
    }
    let mut escaped = false;
    for (place, character) in quoted.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return Some(prefix.len() + place + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of the body around the one `HERE`, and whether it can switch.
    fn around(code: &str) -> Option<(&str, bool)> {
        let at = code.find("HERE").unwrap();
        body_around(code, &(at..at + 4)).map(|body| (&code[body.range], body.can_switch))
    }

    #[test]
    fn the_innermost_body_is_found() {
        assert_eq!(around("fn a() { fn b(c: [u8; 3]) -> Result<(), E> { HERE } }"), Some((" HERE ", true)));
        assert_eq!(around("fn a() { fn b() {} HERE }"), Some((" fn b() {} HERE ", true)));
        assert_eq!(
            around("impl A { fn a(self) where F: Fn() -> u8 { if b { HERE } } }"),
            Some((" if b { HERE } ", true))
        );
    }

    #[test]
    fn what_is_no_body_is_none() {
        assert_eq!(around("fn a(b: HERE) {}"), None);
        assert_eq!(around("trait A { fn a(&self); const B: u8 = HERE; fn c() {} }"), None);
        assert_eq!(around("const A: [fn(u8) -> u8; 1] = [|a| { HERE }];"), None);
    }

    #[test]
    fn braces_in_literals_and_comments_do_not_count() {
        for odd in [
            "\"}\"",
            "\"\\\"}\"",
            "r\"}\\\"",
            "r##\"}\"#\"##",
            "b\"}\"",
            "br#\"}\"#",
            "'}'",
            "b'}'",
            "'\\''",
            "'{'",
            "// }\n",
            "/* } /* } */ } */",
            "'a: loop { break 'a }",
            "r#fn",
            "x'}'",
        ] {
            let code = format!("fn a<'a>() {{ {odd}; HERE }} }} }}");
            assert_eq!(around(&code), Some((&*format!(" {odd}; HERE "), true)), "{odd}");
        }
    }

    #[test]
    fn constant_and_opaque_functions_cannot_switch() {
        assert_eq!(around("pub const fn a() { HERE }"), Some((" HERE ", false)));
        assert_eq!(around("const unsafe extern \"C\" fn a() { HERE }"), Some((" HERE ", false)));
        assert_eq!(around("fn a(&self) -> impl Iterator<Item = &B> + '_ { HERE }"), Some((" HERE ", false)));
        assert_eq!(
            around("const B: u8 = 1; fn a(b: impl Fn() -> u8) -> u8 { HERE }"),
            Some((" HERE ", true))
        );
        assert_eq!(
            around("fn a<B: Fn() -> u8>(b: B) -> Option<impl Copy> { HERE }"),
            Some((" HERE ", false))
        );
    }
}
