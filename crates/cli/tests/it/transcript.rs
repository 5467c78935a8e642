//! `docs/CLI.md` shows what the command prints. `TIDELOG_BLESS=1` writes it anew.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::normal::{is_blessing, normal};
use crate::support::{closed, command, files, place, restore};

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CLI.md")
}

#[test]
fn the_transcript_is_what_the_command_prints() {
    let (whole, all) = closed();
    let mut damaged = files(whole.path());
    let (name, at) = place(all[200].0);
    damaged.get_mut(&name).unwrap()[at + 20] ^= 1;
    let damaged = restore(&damaged);
    // Where the commands run: what one writes there, a later one may read.
    let scratch = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(document()).unwrap();
    let mut out = String::new();
    let mut inside = false;
    let mut skip = false;
    let mut commands = 0;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
            skip = false;
        }
        if inside && let Some(shell) = line.strip_prefix("$ ") {
            commands += 1;
            skip = true;
            writeln!(out, "{line}").unwrap();
            let dir = if shell.ends_with("# damaged") { damaged.path() } else { whole.path() };
            let arguments = shell.trim_end_matches("# damaged").trim();
            let arguments = arguments.strip_prefix("tidelog ").expect("a command of this tool");
            // By the shell, for its quotes.
            let tool = env!("CARGO_BIN_EXE_tidelog");
            let ran = command(dir, &[]).get_program().to_owned();
            assert_eq!(ran, tool);
            let output = std::process::Command::new("sh")
                .args(["-c", &format!("'{tool}' {arguments}")])
                .current_dir(scratch.path())
                .env("TIDELOG_DIR", dir)
                .env("COLUMNS", "100")
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .output()
                .unwrap();
            out.push_str(&normal(&String::from_utf8(output.stdout).unwrap(), dir));
            if let Some(code @ 1..) = output.status.code() {
                writeln!(out, "[exit code {code}]").unwrap();
            }
        } else if !(inside && skip) {
            writeln!(out, "{line}").unwrap();
        }
    }
    assert!(commands > 5, "only {commands} commands in the transcript");
    let trimmed: String = out.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    if is_blessing() {
        std::fs::write(document(), &trimmed).unwrap();
    } else {
        assert!(trimmed == text, "docs/CLI.md is not what the command prints; look at:\n{trimmed}");
    }
}
