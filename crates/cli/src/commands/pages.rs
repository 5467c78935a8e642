//! What is made from the description of the command line itself.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;
use crate::exit::{Fail, Outcome};
use crate::out::Out;

pub(super) fn completions(shell: Shell, out: &mut Out) -> Result<Outcome, Fail> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "tidelog", &mut script);
    out.bytes(&script)?;
    Ok(Outcome::Clean)
}

pub(super) fn manual(folder: Option<&Path>, out: &mut Out) -> Result<Outcome, Fail> {
    let command = Args::command();
    if let Some(folder) = folder {
        let failed = |error| Fail::io(format!("cannot write the manual to {}", folder.display()), error);
        std::fs::create_dir_all(folder).map_err(failed)?;
        clap_mangen::generate_to(command, folder).map_err(failed)?;
        return Ok(Outcome::Clean);
    }
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command).render(&mut page);
    rendered.map_err(|error| Fail::io("cannot make the manual", error))?;
    out.bytes(&page)?;
    Ok(Outcome::Clean)
}
