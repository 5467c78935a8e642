//! Runs the mutants.
fn main() {}
