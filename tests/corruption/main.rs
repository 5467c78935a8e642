//! Damaged bytes, sectors and files. For each damage the oracle says beforehand what comes of it: from what was
//! appended and made durable, and from the words of `docs/FORMAT.md` and `docs/DURABILITY.md`.

mod bits;
mod decision;
mod evidence;
mod files;
mod forged;
mod odd_files;
mod oracle;
mod place;
mod reading;
mod sample;
mod sectors;
#[path = "../it/support.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod support;
