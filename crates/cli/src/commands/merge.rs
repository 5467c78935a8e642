//! `merge`: one log out of several, or out of one without its padding or in other segments.

use std::path::PathBuf;

use crate::args::{Global, Merge};
use crate::exit::{Fail, Outcome};
use crate::out::Out;
use crate::rewrite::{self, Codec, Plan};
use crate::view::{directory, refuse_root};

pub(super) fn run(merge: &Merge, global: &Global, out: &mut Out) -> Result<Outcome, Fail> {
    let first =
        if global.dir.is_none() && !merge.sources.is_empty() { None } else { Some(directory(global)?) };
    let directories: Vec<PathBuf> = first.into_iter().chain(merge.sources.iter().cloned()).collect();
    for source in &merge.sources {
        refuse_root(source)?;
    }
    let mut seen = Vec::new();
    for directory in &directories {
        let place = directory.canonicalize().unwrap_or_else(|_| directory.clone());
        if seen.contains(&place) {
            let what =
                format!("{} is named twice; its records would be in the new log twice", directory.display());
            return Err(Fail::Usage(what));
        }
        seen.push(place);
    }
    let plan = Plan { command: "merge", options: &merge.rewrite, checksum: None, codec: Codec::Plain };
    rewrite::run(&plan, &directories, global, out)
}
