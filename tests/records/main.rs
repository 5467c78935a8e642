//! Records that are more than bytes: codecs, logs of values, key-value records. Needs the features `postcard`, `rkyv` and
//! `zerocopy`.

mod codecs;
mod kv;
#[path = "../../fuzz/src/records.rs"]
mod second_reading;
mod support;
mod typed;
