//! `convert`: the same records with another checksum, in other segments, packed or unpacked.

use tidelog::inspect::FORMAT_VERSION;

use crate::args::{Convert, Global};
use crate::exit::{Fail, Outcome};
use crate::out::Out;
use crate::rewrite::{self, Codec, Plan};
use crate::view::directory;

pub(super) fn run(convert: &Convert, global: &Global, out: &mut Out) -> Result<Outcome, Fail> {
    if convert.format_version != FORMAT_VERSION {
        let what = format!(
            "format version {} is not one that this build writes; it knows version {FORMAT_VERSION}",
            convert.format_version
        );
        return Err(Fail::Refused(Outcome::Version, what));
    }
    let codec = Codec::parse(convert.compress.as_deref())?;
    let checksum = convert.checksum.map(tidelog::Checksum::from);
    let plan = Plan { command: "convert", options: &convert.rewrite, checksum, codec };
    rewrite::run(&plan, &[directory(global)?], global, out)
}
