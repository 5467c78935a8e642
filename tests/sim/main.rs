//! Tests on the simulated disk: what power cuts leave, the Nth call that fails, a device that fills up. Needs the
//! feature `testing`: `cargo test --features testing --test sim`.

mod cursor_errors;
mod cursors;
mod disk;
mod follow;
mod found;
mod full;
mod large;
mod rebuild;
mod repair;
mod retention;
mod schema;
mod support;
mod sync_errors;
