//! What payloads are: decoders, by name. A further one implements [`Decoder`] and stands in [`ALL`].

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tidelog::kv::{Action, Entry};

use crate::exit::Fail;

/// Turns a payload into a value: a text, or something with structure.
pub(crate) trait Decoder: Sync {
    /// For `--decode`.
    fn name(&self) -> &'static str;
    /// `None` where the payload is not of this kind.
    fn decode(&self, payload: &[u8]) -> Option<Value>;
}

/// All that there are.
static ALL: [&dyn Decoder; 5] = [&Utf8, &Json, &KeyValue, &Hex, &Base64];

pub(crate) fn names() -> Vec<&'static str> {
    ALL.iter().map(|decoder| decoder.name()).collect()
}

/// What shows payloads.
#[derive(Debug)]
pub(crate) enum Decode {
    Named(&'static str),
    Command(String),
}

impl Decode {
    pub(crate) fn new(name: &str, command: Option<&String>) -> Self {
        let named = ALL.iter().map(|decoder| decoder.name()).find(|known| *known == name);
        command.map_or(Self::Named(named.unwrap_or("utf8")), |command| Self::Command(command.clone()))
    }

    /// The payload as a value. Where it is not what it was called, the escaped bytes stand in.
    pub(crate) fn value(&self, lsn: u64, payload: &[u8]) -> Result<Value, Fail> {
        match self {
            Self::Named(name) => {
                let decoder = ALL.iter().find(|decoder| decoder.name() == *name);
                let value = decoder.and_then(|decoder| decoder.decode(payload));
                Ok(value.unwrap_or_else(|| json!(escaped(payload))))
            }
            Self::Command(command) => external(command, lsn, payload).map(Value::String),
        }
    }
}

struct Utf8;
impl Decoder for Utf8 {
    fn name(&self) -> &'static str {
        "utf8"
    }

    fn decode(&self, payload: &[u8]) -> Option<Value> {
        std::str::from_utf8(payload).ok().map(|text| json!(text))
    }
}

struct Json;
impl Decoder for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn decode(&self, payload: &[u8]) -> Option<Value> {
        serde_json::from_slice(payload).ok()
    }
}

/// Records of `tidelog::kv`. The value is shown as text, bytes that are none escaped.
struct KeyValue;
impl Decoder for KeyValue {
    fn name(&self) -> &'static str {
        "kv"
    }

    fn decode(&self, payload: &[u8]) -> Option<Value> {
        let entry = Entry::decode(payload).ok()?;
        let (key, at) = (escaped(entry.key), entry.unix_ns);
        Some(match entry.action {
            Action::Put { value, expires_unix_ns: Some(expires) } => {
                json!({"put": key, "value": escaped(value), "unix_ns": at, "expires_unix_ns": expires})
            }
            Action::Put { value, .. } => json!({"put": key, "value": escaped(value), "unix_ns": at}),
            Action::Delete => json!({"delete": key, "unix_ns": at}),
            Action::Ignorable { kind } => json!({"ignorable": kind, "key": key, "unix_ns": at}),
            _ => return None,
        })
    }
}

struct Hex;
impl Decoder for Hex {
    fn name(&self) -> &'static str {
        "hex"
    }

    fn decode(&self, payload: &[u8]) -> Option<Value> {
        Some(json!(hex(payload)))
    }
}

struct Base64;
impl Decoder for Base64 {
    fn name(&self) -> &'static str {
        "base64"
    }

    fn decode(&self, payload: &[u8]) -> Option<Value> {
        Some(json!(base64(payload)))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 4648, with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let index = (word >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit <= chunk.len() { char::from(DIGITS[index]) } else { '=' });
        }
    }
    text
}

/// The bytes of [`base64`]; nothing else is taken.
pub(crate) fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let (quads, []) = text.as_chunks::<4>() else { return None };
    let mut bytes = Vec::with_capacity(quads.len() * 3);
    for (index, quad) in quads.iter().enumerate() {
        let padding = quad.iter().rev().take_while(|digit| **digit == b'=').count();
        if padding > 2 || (padding > 0 && index + 1 < quads.len()) {
            return None;
        }
        let mut word = 0_u32;
        for digit in &quad[..4 - padding] {
            let six = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            word = word << 6 | u32::from(six);
        }
        let whole = (word << (6 * padding)).to_be_bytes();
        let (kept, spare) = whole[1..].split_at(3 - padding);
        if spare.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(kept);
    }
    Some(bytes)
}

/// The bytes as text on one line: what is not printable, and no UTF-8, as `\n`, `\x1b` and so on.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                letter if letter.is_control() => text.push_str(&format!("\\u{{{:x}}}", u32::from(letter))),
                letter => text.push(letter),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

fn external(command: &str, lsn: u64, payload: &[u8]) -> Result<String, Fail> {
    let failed = |error| Fail::io(format!("cannot run the decoder {command:?}"), error);
    let mut child = Command::new("sh")
        .args(["-c", command])
        .env("TIDELOG_LSN", lsn.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let stdin = child.stdin.take();
    // From a thread, as a decoder may print before it has read all. One that reads no more is not wrong.
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(payload)));
        child.wait_with_output()
    });
    let output = output.map_err(failed)?;
    if !output.status.success() {
        let what = format!("the decoder {command:?} ended with {} at LSN {lsn}", output.status);
        return Err(Fail::io(what, std::io::ErrorKind::InvalidData.into()));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.strip_suffix('\n').map_or(text.clone(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
            ("\u{ff}", "w78="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
            assert_eq!(from_base64(text.as_bytes()).as_deref(), Some(bytes.as_bytes()));
        }
        let all: Vec<u8> = (0..=255).collect();
        for len in 0..all.len() {
            assert_eq!(from_base64(base64(&all[..len]).as_bytes()).as_deref(), Some(&all[..len]));
        }
        for text in ["Z", "Zg=", "Zg", "Zg==Zg==", "Zh==", "Z===", "====", "Zm9 ", "Zm-v", "Zm9v\n"] {
            assert_eq!(from_base64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn no_byte_reaches_the_terminal_as_a_control() {
        let all: Vec<u8> = (0..=255).collect();
        let text = escaped(&all);
        assert!(text.chars().all(|letter| !letter.is_control()), "{text:?}");
        assert_eq!(escaped(b"a\x1b[31m\n\xff\\"), "a\\u{1b}[31m\\n\\xff\\\\");
        assert_eq!(escaped("é\u{9b}".as_bytes()), "é\\u{9b}");
    }

    #[test]
    fn every_name_leads_to_its_decoder() {
        for name in names() {
            let Decode::Named(found) = Decode::new(name, None) else { panic!("{name}") };
            assert_eq!(found, name);
        }
        let mut kv = Vec::new();
        Entry::put(b"key", b"va\xfflue", 7).encode(&mut kv).unwrap();
        let put = json!({"put": "key", "value": "va\\xfflue", "unix_ns": 7});
        assert_eq!(Decode::new("kv", None).value(0, &kv).unwrap(), put);
        assert_eq!(Decode::new("kv", None).value(0, b"none").unwrap(), json!("none"));
        let json = Decode::new("json", None).value(0, b"{\"a\":1}").unwrap();
        assert_eq!(json, json!({"a": 1}));
        assert_eq!(Decode::new("json", None).value(0, b"no\xff").unwrap(), json!("no\\xff"));
    }
}
