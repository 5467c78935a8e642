//! A notation for types, for formats that do not describe themselves.

use std::collections::HashSet;

/// Nested deeper is nothing that somebody writes.
const DEPTH_MAX: usize = 64;
const ARRAY_MAX: usize = 1 << 16;
const TYPES: &str = "a type (bool, u8 to u128, i8 to i128, f32, f64, char, string, bytes, unit, option<T>, [T], [T;N], (T,U), \
                     {name:T}, map<K,V>, enum{A,B(T),C{name:T}})";

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    Bool,
    /// One byte.
    U8,
    I8,
    /// Of 16 bits and more, these and the signed ones, in as many bytes as they need.
    Unsigned(u32),
    Signed(u32),
    F32,
    F64,
    Char,
    String,
    Bytes,
    Unit,
    Option(Box<Type>),
    Sequence(Box<Type>),
    Array(Box<Type>, usize),
    Tuple(Vec<Type>),
    Struct(Vec<(String, Type)>),
    Map(Box<Type>, Box<Type>),
    Enum(Vec<(String, Variant)>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Variant {
    Unit,
    /// In parentheses; one alone is a newtype.
    Tuple(Vec<Type>),
    Struct(Vec<(String, Type)>),
}

/// `{id:u64,name:string,tags:[string],kind:enum{Put,Delete(u64)}}` and so on.
pub(crate) fn parse(text: &str) -> Result<Type, String> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let kind = parser.kind()?;
    parser.space();
    if parser.at < text.len() {
        return Err(parser.expected("nothing more"));
    }
    Ok(kind)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn expected(&self, what: &str) -> String {
        let found: String = self.rest().chars().take(12).collect();
        let found = if found.is_empty() { "its end".to_owned() } else { format!("{found:?}") };
        format!("the schema is wrong at character {}: {what} is expected, not {found}", self.at)
    }

    fn takes(&mut self, sign: char) -> bool {
        self.space();
        let there = self.rest().starts_with(sign);
        if there {
            self.at += sign.len_utf8();
        }
        there
    }

    fn needs(&mut self, sign: char) -> Result<(), String> {
        if self.takes(sign) { Ok(()) } else { Err(self.expected(&format!("{sign:?}"))) }
    }

    fn word(&mut self, what: &str) -> Result<&'a str, String> {
        self.space();
        let rest = self.rest();
        let len = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
        if len == 0 {
            return Err(self.expected(what));
        }
        self.at += len;
        Ok(&rest[..len])
    }

    fn kind(&mut self) -> Result<Type, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("the schema is nested deeper than {DEPTH_MAX} types"));
        }
        let kind = self.kind_inside();
        self.depth -= 1;
        kind
    }

    fn kind_inside(&mut self) -> Result<Type, String> {
        if self.takes('{') {
            return Ok(Type::Struct(self.fields()?));
        }
        if self.takes('(') {
            let kinds = self.kinds()?;
            return Ok(if kinds.is_empty() { Type::Unit } else { Type::Tuple(kinds) });
        }
        if self.takes('[') {
            let kind = Box::new(self.kind()?);
            if !self.takes(';') {
                self.needs(']')?;
                return Ok(Type::Sequence(kind));
            }
            let len = self.word("a length")?.parse().ok().filter(|len| *len <= ARRAY_MAX);
            let len = len.ok_or_else(|| format!("the length of an array is a number up to {ARRAY_MAX}"))?;
            self.needs(']')?;
            return Ok(Type::Array(kind, len));
        }
        let begin = self.at;
        Ok(match self.word(TYPES)? {
            "bool" => Type::Bool,
            "u8" => Type::U8,
            "i8" => Type::I8,
            "u16" => Type::Unsigned(16),
            "u32" => Type::Unsigned(32),
            "u64" | "usize" => Type::Unsigned(64),
            "u128" => Type::Unsigned(128),
            "i16" => Type::Signed(16),
            "i32" => Type::Signed(32),
            "i64" | "isize" => Type::Signed(64),
            "i128" => Type::Signed(128),
            "f32" => Type::F32,
            "f64" => Type::F64,
            "char" => Type::Char,
            "string" => Type::String,
            "bytes" => Type::Bytes,
            "unit" => Type::Unit,
            "option" => {
                self.needs('<')?;
                let kind = Box::new(self.kind()?);
                self.needs('>')?;
                Type::Option(kind)
            }
            "map" => {
                self.needs('<')?;
                let key = Box::new(self.kind()?);
                self.needs(',')?;
                let value = Box::new(self.kind()?);
                self.needs('>')?;
                Type::Map(key, value)
            }
            "enum" => Type::Enum(self.variants()?),
            _ => {
                self.at = begin;
                self.space();
                return Err(self.expected(TYPES));
            }
        })
    }

    /// Types up to a closing parenthesis.
    fn kinds(&mut self) -> Result<Vec<Type>, String> {
        let mut kinds = Vec::new();
        while !self.takes(')') {
            kinds.push(self.kind()?);
            if !self.takes(',') {
                self.needs(')')?;
                break;
            }
        }
        Ok(kinds)
    }

    /// Names and types up to a closing brace.
    fn fields(&mut self) -> Result<Vec<(String, Type)>, String> {
        self.named(|parser| {
            parser.needs(':')?;
            parser.kind()
        })
    }

    fn variants(&mut self) -> Result<Vec<(String, Variant)>, String> {
        self.needs('{')?;
        self.named(|parser| {
            Ok(if parser.takes('(') {
                Variant::Tuple(parser.kinds()?)
            } else if parser.takes('{') {
                Variant::Struct(parser.fields()?)
            } else {
                Variant::Unit
            })
        })
    }

    fn named<T>(
        &mut self,
        what: impl Fn(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<(String, T)>, String> {
        let (mut all, mut names) = (Vec::new(), HashSet::new());
        while !self.takes('}') {
            let name = self.word("a name")?;
            if !names.insert(name) {
                return Err(format!("the schema has the name {name:?} twice in one type"));
            }
            all.push((name.to_owned(), what(self)?));
            if !self.takes(',') {
                self.needs('}')?;
                break;
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_schema_is_refused_with_its_place() {
        for (text, what) in [
            ("", "a type (bool"),
            ("u7", "character 0"),
            ("{id u64}", "character 4: ':' is expected, not \"u64}\""),
            ("{id:u64", "'}' is expected, not its end"),
            ("{a:u8,a:u8}", "\"a\" twice"),
            ("[u8;]", "a length"),
            ("[u8;70000]", "up to 65536"),
            ("[u8", "']'"),
            ("option u8", "'<'"),
            ("map<u8>", "','"),
            ("enum", "'{'"),
            ("u8 u8", "nothing more"),
            ("(u8;u8)", "')'"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(what), "{text:?}: {error}");
        }
        assert!(parse(&format!("{}u8{}", "[".repeat(63), "]".repeat(63))).is_ok());
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn spaces_and_last_commas_mean_nothing() {
        let dense = "{id:u64,k:enum{A,B(u8,i8),C{x:option<map<string,[f32]>>}},t:(char,[bytes;2]),u:()}";
        let spaced = dense.replace([',', ':', '{', '('], " $0 ");
        assert!(parse(&spaced).is_err(), "$0 is a name here");
        let spaced: String = dense
            .chars()
            .flat_map(|sign| if sign.is_alphanumeric() { vec![sign] } else { vec![' ', sign, ' '] })
            .collect();
        assert_eq!(parse(&spaced), parse(dense));
        assert_eq!(parse("(u8,)"), parse("(u8)"));
        assert_eq!(parse("{a:u8,}"), parse("{a:u8}"));
    }
}
