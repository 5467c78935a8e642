//! What payloads are: decoders, by name. A further one implements [`Decoder`] and stands in [`ALL`].

mod digits;
mod postcard;
mod schema;

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tidelog::kv::{Action, Entry};

pub(crate) use self::digits::{base64, from_base64, hex};
use self::schema::Type;
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

/// Before a schema.
const POSTCARD: &str = "postcard:";

/// What shows payloads.
#[derive(Clone, Debug)]
pub(crate) enum Decode {
    Named(&'static str),
    Postcard(Box<Type>),
    Command(String),
}

/// What `--decode` names.
pub(crate) fn parse(name: &str) -> Result<Decode, String> {
    if let Some(schema) = name.strip_prefix(POSTCARD) {
        return schema::parse(schema).map(|kind| Decode::Postcard(Box::new(kind)));
    }
    let names = ALL.map(|decoder| decoder.name());
    let found = names.into_iter().find(|known| *known == name).map(Decode::Named);
    found.ok_or_else(|| format!("there is {} and {POSTCARD}SCHEMA", names.join(", ")))
}

impl Decode {
    /// True where what is shown is the payload itself wherever that is a text.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Named("utf8" | "json"))
    }

    /// The payload as a value. Where it is not what it was called, the escaped bytes stand in.
    pub(crate) fn value(&self, lsn: u64, payload: &[u8]) -> Result<Value, Fail> {
        match self {
            Self::Named(name) => {
                let decoder = ALL.iter().find(|decoder| decoder.name() == *name);
                let value = decoder.and_then(|decoder| decoder.decode(payload));
                Ok(value.unwrap_or_else(|| json!(escaped(payload))))
            }
            Self::Postcard(kind) => {
                Ok(postcard::decode(kind, payload).unwrap_or_else(|| json!(escaped(payload))))
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
    fn no_byte_reaches_the_terminal_as_a_control() {
        let all: Vec<u8> = (0..=255).collect();
        let text = escaped(&all);
        assert!(text.chars().all(|letter| !letter.is_control()), "{text:?}");
        assert_eq!(escaped(b"a\x1b[31m\n\xff\\"), "a\\u{1b}[31m\\n\\xff\\\\");
        assert_eq!(escaped("é\u{9b}".as_bytes()), "é\\u{9b}");
    }

    #[test]
    fn every_name_leads_to_its_decoder() {
        for name in ALL.map(|decoder| decoder.name()) {
            assert!(matches!(parse(name), Ok(Decode::Named(found)) if found == name), "{name}");
        }
        assert!(parse("yaml").is_err_and(|error| error.contains("base64 and postcard:SCHEMA")));
        let mut kv = Vec::new();
        Entry::put(b"key", b"va\xfflue", 7).encode(&mut kv).unwrap();
        let put = json!({"put": "key", "value": "va\\xfflue", "unix_ns": 7});
        assert_eq!(parse("kv").unwrap().value(0, &kv).unwrap(), put);
        assert_eq!(parse("kv").unwrap().value(0, b"none").unwrap(), json!("none"));
        let json = parse("json").unwrap().value(0, b"{\"a\":1}").unwrap();
        assert_eq!(json, json!({"a": 1}));
        assert_eq!(parse("json").unwrap().value(0, b"no\xff").unwrap(), json!("no\\xff"));
    }
}
