//! Payloads in the postcard format (<https://postcard.jamesmunns.com/wire-format>), by a schema.

use serde_json::{Map, Value, json};

use super::escaped;
use super::schema::{Type, Variant};

/// The payload as a value; `None` where it is not of this type, or has more behind it.
pub(super) fn decode(kind: &Type, payload: &[u8]) -> Option<Value> {
    // Things that take no bytes could be many in few.
    let mut input = Input { rest: payload, budget: payload.len().saturating_mul(2).saturating_add(1 << 16) };
    let value = input.value(kind)?;
    input.rest.is_empty().then_some(value)
}

struct Input<'a> {
    rest: &'a [u8],
    /// So many values more.
    budget: usize,
}

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.len()?;
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*bytes)
    }

    /// Seven bits in each byte, the lowest first; the eighth says that there is a further one.
    fn varint(&mut self, bits: u32) -> Option<u128> {
        let mut value = 0_u128;
        for index in 0..bits.div_ceil(7) {
            let byte = self.byte()?;
            let part = u128::from(byte & 0x7f);
            let shift = 7 * index;
            // What the last byte has no room for is no number of so many bits.
            if shift + 7 > bits && part >> (bits - shift) != 0 {
                return None;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn len(&mut self) -> Option<usize> {
        usize::try_from(self.varint(64)?).ok()
    }

    fn value(&mut self, kind: &Type) -> Option<Value> {
        self.budget = self.budget.checked_sub(1)?;
        Some(match kind {
            Type::Bool => match self.byte()? {
                0 => json!(false),
                1 => json!(true),
                _ => return None,
            },
            Type::U8 => json!(self.byte()?),
            Type::I8 => json!(self.byte()?.cast_signed()),
            Type::Unsigned(bits) => {
                let number = self.varint(*bits)?;
                u64::try_from(number).map_or_else(|_| json!(number.to_string()), |number| json!(number))
            }
            Type::Signed(bits) => {
                let coded = self.varint(*bits)?;
                let number = (coded >> 1).cast_signed() ^ -(coded & 1).cast_signed();
                i64::try_from(number).map_or_else(|_| json!(number.to_string()), |number| json!(number))
            }
            Type::F32 => float(f32::from_le_bytes(self.array()?).into()),
            Type::F64 => float(f64::from_le_bytes(self.array()?)),
            Type::Char => {
                let text = std::str::from_utf8(self.bytes()?).ok()?;
                let mut letters = text.chars();
                if letters.next().is_none() || letters.next().is_some() {
                    return None;
                }
                json!(text)
            }
            Type::String => json!(std::str::from_utf8(self.bytes()?).ok()?),
            Type::Bytes => json!(escaped(self.bytes()?)),
            Type::Unit => Value::Null,
            Type::Option(kind) => match self.byte()? {
                0 => Value::Null,
                1 => self.value(kind)?,
                _ => return None,
            },
            Type::Sequence(kind) => {
                let len = self.len()?;
                self.repeated(kind, len)?
            }
            Type::Array(kind, len) => self.repeated(kind, *len)?,
            Type::Tuple(kinds) => self.tuple(kinds)?,
            Type::Struct(fields) => self.fields(fields)?,
            Type::Map(key, value) => self.map(key, value)?,
            Type::Enum(variants) => {
                let index = usize::try_from(self.varint(32)?).ok()?;
                let (name, variant) = variants.get(index)?;
                match variant {
                    Variant::Unit => json!(name),
                    Variant::Tuple(kinds) => match kinds.as_slice() {
                        [kind] => json!({name: self.value(kind)?}),
                        kinds => json!({name: self.tuple(kinds)?}),
                    },
                    Variant::Struct(fields) => json!({name: self.fields(fields)?}),
                }
            }
        })
    }

    fn repeated(&mut self, kind: &Type, len: usize) -> Option<Value> {
        // No room is made for what is claimed.
        let mut values = Vec::new();
        for _ in 0..len {
            values.push(self.value(kind)?);
        }
        Some(Value::Array(values))
    }

    fn tuple(&mut self, kinds: &[Type]) -> Option<Value> {
        kinds.iter().map(|kind| self.value(kind)).collect::<Option<_>>().map(Value::Array)
    }

    fn fields(&mut self, fields: &[(String, Type)]) -> Option<Value> {
        let fields = fields.iter().map(|(name, kind)| Some((name.clone(), self.value(kind)?)));
        fields.collect::<Option<Map<_, _>>>().map(Value::Object)
    }

    /// An object where the keys are texts and none is there twice; else pairs.
    fn map(&mut self, key: &Type, value: &Type) -> Option<Value> {
        let mut pairs = Vec::new();
        for _ in 0..self.len()? {
            let key = self.value(key)?;
            pairs.push((key, self.value(value)?));
        }
        let mut object = Map::new();
        for (key, value) in &pairs {
            match key {
                Value::String(key) if !object.contains_key(key) => object.insert(key.clone(), value.clone()),
                _ => return Some(pairs.into_iter().map(|(key, value)| json!([key, value])).collect()),
            };
        }
        Some(Value::Object(object))
    }
}

/// JSON has no numbers for what is none.
fn float(number: f64) -> Value {
    if number.is_finite() { json!(number) } else { json!(number.to_string()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;
    use crate::decode::schema::parse;

    #[derive(Serialize)]
    enum Kind {
        Put,
        Delete(u64),
        Pair(u8, i8),
        Move { from: String, to: Option<char> },
    }

    fn shown(schema: &str, value: &impl Serialize) -> Value {
        let bytes = postcard::to_allocvec(value).unwrap();
        let kind = parse(schema).unwrap();
        for cut in 0..bytes.len() {
            assert_eq!(decode(&kind, &bytes[..cut]), None, "{schema} cut to {cut}");
        }
        let more = [&bytes[..], &[0]].concat();
        assert_eq!(decode(&kind, &more), None, "{schema} with a byte behind it");
        decode(&kind, &bytes).unwrap_or_else(|| panic!("{schema}: {bytes:?}"))
    }

    /// A schema, a value as the crate itself encodes it, and what is to be shown.
    macro_rules! cases {
        ($($schema:expr, $value:expr => $json:tt;)*) => {
            $(assert_eq!(shown($schema, &$value), json!($json), "{}", $schema);)*
        };
    }

    #[test]
    fn what_the_crate_encodes_is_shown() {
        cases! {
            "bool", true => true;
            "u8", 200_u8 => 200;
            "i8", -3_i8 => (-3);
            "u16", u16::MAX => 65535;
            "i16", i16::MIN => (-32768);
            "u32", 300_u32 => 300;
            "i32", i32::MIN => (i32::MIN);
            "u64", u64::MAX => (u64::MAX);
            "usize", 7_usize => 7;
            "i64", i64::MIN => (i64::MIN);
            "isize", -1_isize => (-1);
            "u128", u128::MAX => (u128::MAX.to_string());
            "u128", 5_u128 => 5;
            "i128", i128::MIN => (i128::MIN.to_string());
            "i128", i128::MAX => (i128::MAX.to_string());
            "f32", 1.5_f32 => 1.5;
            "f64", f64::NAN => "NaN";
            "f64", f64::NEG_INFINITY => "-inf";
            "f64", -0.1_f64 => (-0.1);
            "char", 'é' => "é";
            "string", "text" => "text";
            "option<i64>", Some(-1_i64) => (-1);
            "option<option<u8>>", Some(None::<u8>) => null;
            "[string]", ["a", "b"].to_vec() => ["a", "b"];
            "[u16;3]", [1_u16, 2, 3] => [1, 2, 3];
            "(u8,string)", (1_u8, "x") => [1, "x"];
            "map<string,u8>", BTreeMap::from([("a", 1_u8), ("b", 2)]) => {"a": 1, "b": 2};
            "map<u8,string>", BTreeMap::from([(1_u8, "a")]) => [[1, "a"]];
        }
        let kinds = "[enum{Put,Delete(u64),Pair(u8,i8),Move{from:string,to:option<char>}}]";
        let values = [
            Kind::Put,
            Kind::Delete(1 << 40),
            Kind::Pair(1, -1),
            Kind::Move { from: "here".to_owned(), to: Some('z') },
        ];
        let wanted =
            json!(["Put", {"Delete": 1_u64 << 40}, {"Pair": [1, -1]}, {"Move": {"from": "here", "to": "z"}}]);
        assert_eq!(shown(kinds, &Vec::from(values)), wanted);
        assert_eq!(
            decode(&parse("{a:unit,b:bytes}").unwrap(), b"\x02\xff\n"),
            Some(json!({"a": null, "b": "\\xff\\n"}))
        );
        assert_eq!(decode(&Type::Unit, b""), Some(Value::Null));
    }

    #[test]
    fn what_is_not_of_the_type_is_not_shown_as_one() {
        for (schema, bytes) in [
            ("bool", &b"\x02"[..]),
            ("option<u8>", b"\x02\x01"),
            ("string", b"\x01\xff"),
            ("char", b"\x02ab"),
            ("char", b"\x00"),
            ("enum{A,B}", b"\x02"),
            ("u16", b"\xff\xff\x04"),
            ("u16", b"\xff\xff\x83\x00"),
            ("u64", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
            ("u128", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x04"),
            // So many units, options of them, and texts are claimed.
            ("[unit]", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
            ("[[unit;65536];65536]", b""),
            ("[string]", b"\xff\xff\xff\xff\x0f\x01a"),
            ("string", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
            ("map<unit,unit>", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        ] {
            assert_eq!(decode(&parse(schema).unwrap(), bytes), None, "{schema} {bytes:?}");
        }
        let twice = decode(&parse("map<string,u8>").unwrap(), b"\x02\x01a\x01\x01a\x02");
        assert_eq!(twice, Some(json!([["a", 1], ["a", 2]])), "nothing is lost");
    }

    fn schemas() -> impl Strategy<Value = String> {
        let plain = proptest::sample::select(vec![
            "bool",
            "u8",
            "i8",
            "u16",
            "u64",
            "i128",
            "f32",
            "char",
            "string",
            "bytes",
            "unit",
            "enum{A,B(u8)}",
        ]);
        plain.prop_map(str::to_owned).prop_recursive(4, 16, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|kind| format!("[{kind}]")),
                inner.clone().prop_map(|kind| format!("[{kind};9]")),
                inner.clone().prop_map(|kind| format!("option<{kind}>")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("map<{a},{b}>")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{a:{a},b:{b}}}")),
                (inner.clone(), inner).prop_map(|(a, b)| format!("enum{{X({a},{b}),Y{{c:{a}}}}}")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn hostile_bytes_are_a_value_or_none(schema in schemas(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let kind = parse(&schema).unwrap();
            let _ = decode(&kind, &bytes);
            // Small numbers lead deeper.
            let low: Vec<u8> = bytes.iter().map(|byte| byte % 3).collect();
            let _ = decode(&kind, &low);
        }

        #[test]
        fn hostile_schemas_are_types_or_errors(text in "[a-z0-9{}\\[\\]()<>:;, é]{0,60}") {
            let _ = parse(&text);
        }
    }
}
