//! `repair`: a damaged log made usable again, by the operator's decision.

use std::path::Path;

use serde_json::{Value, json};
use tidelog::inspect::Inspector;
use tidelog::repair::{self, Action, Loss, Lost, Plan, Way};
use tidelog::{ErrorKind, Lsn};

use crate::args::{Global, Repair};
use crate::color::{Colors, Tone};
use crate::exit::{Fail, Outcome};
use crate::out::Out;
use crate::units::{bytes, counted};

pub(super) fn run(
    directory: &Path,
    options: &Repair,
    global: &Global,
    out: &mut Out,
) -> Result<Outcome, Fail> {
    let way = match options.to {
        Some(lsn) => Way::To(Lsn::new(lsn)),
        None if options.salvage => Way::Salvage,
        None => Way::Tail,
    };
    // Without metadata there is nobody to ask, and --apply takes the lock itself.
    if let Ok(inspector) = Inspector::open(directory)
        && let Some(pid) = inspector.lock()?.holder
    {
        return Err(Fail::Locked(format!(
            "the process with pid {pid} has the log open; let it close the log before a repair"
        )));
    }
    let planned = if options.apply { repair::apply(directory, way) } else { repair::plan(directory, way) };
    let plan = match planned {
        Err(error) if error.kind() == ErrorKind::Corrupt && way != Way::Salvage => {
            advise(directory, global.colors());
            return Err(error.into());
        }
        planned => planned?,
    };
    let found = found(&plan);
    let outcome = match options.apply {
        true if plan.is_empty() => Outcome::Clean,
        true => Outcome::Repaired,
        false => found,
    };
    if global.json {
        out.json(to_json(&plan, options, outcome))?;
    } else {
        print(&plan, options, found, global.colors(), out)?;
    }
    Ok(outcome)
}

/// What was wrong with the log, by what is to be done.
fn found(plan: &Plan) -> Outcome {
    let of = |lost: &Lost| match (plan.way(), lost.why) {
        (Way::To(_), _) | (Way::Tail, Loss::Unwritten) => Outcome::Clean,
        (Way::Tail, _) | (Way::Salvage, Loss::Unwritten) => Outcome::TornTail,
        (_, Loss::Missing) => Outcome::Gap,
        _ => Outcome::Corrupt,
    };
    let worst = plan.lost().iter().map(of).max();
    match plan.way() {
        // A header, the metadata or a cursor: no record is lost with them.
        Way::Salvage if !plan.is_empty() => worst.unwrap_or(Outcome::Corrupt),
        _ => worst.unwrap_or(Outcome::Clean),
    }
}

/// What the ways that mend damage would come to, for somebody who asked for less.
fn advise(directory: &Path, colors: Colors) {
    let Ok(salvage) = repair::plan(directory, Way::Salvage) else { return };
    let lost: u64 = salvage.lost().iter().map(|lost| lost.to.get() - lost.from.get()).sum();
    let price = match salvage.lost().len() as u64 {
        0 => "lose none".to_owned(),
        places => format!("give up {} in {}", bytes(lost), counted(places, "place")),
    };
    let kept = counted(salvage.kept().records, "record");
    colors.remark(&format!("`tidelog repair --salvage` would keep {kept}, and {price}"));
    let Some(first) = salvage.lost().first() else { return };
    if let Ok(back) = repair::plan(directory, Way::To(first.from)) {
        colors.remark(&format!(
            "`tidelog repair --to {}` would keep the {} before that, and drop all behind",
            first.from,
            counted(back.kept().records, "record")
        ));
    }
}

fn why(loss: Loss) -> &'static str {
    match loss {
        Loss::Damaged => "damaged",
        Loss::Unreadable => "unreadable",
        Loss::Missing => "missing",
        Loss::Unwritten => "unwritten",
        Loss::Cut => "cut",
        _ => "lost",
    }
}

fn action_word(action: Action) -> &'static str {
    match action {
        Action::Correct => "correct",
        Action::Make => "make",
        Action::Remove => "remove",
        Action::Recycle => "recycle",
        _ => "change",
    }
}

fn to_json(plan: &Plan, options: &Repair, outcome: Outcome) -> Value {
    let lost = |lost: &Lost| {
        json!({
            "from": lost.from.get(),
            "to": lost.to.get(),
            "bytes": lost.to.get() - lost.from.get(),
            "why": why(lost.why),
        })
    };
    let action = |(path, action): &(std::path::PathBuf, Action)| json!({"action": action_word(*action), "path": path.display().to_string()});
    json!({
        "command": "repair",
        "outcome": outcome.word(),
        "way": match plan.way() {
            Way::To(_) => "to",
            Way::Salvage => "salvage",
            _ => "tail",
        },
        "applied": options.apply,
        "start": plan.start().get(),
        "end": plan.end().get(),
        "kept": {
            "records": plan.kept().records,
            "batches": plan.kept().batches,
            "payload_bytes": plan.kept().payload_bytes,
        },
        "lost": plan.lost().iter().map(lost).collect::<Vec<_>>(),
        "actions": plan.actions().iter().map(action).collect::<Vec<_>>(),
        "quarantine": plan.quarantine().map(|path| path.display().to_string()),
    })
}

fn print(plan: &Plan, options: &Repair, found: Outcome, colors: Colors, out: &mut Out) -> Result<(), Fail> {
    if plan.is_empty() {
        return out.line(&format!("{}: there is nothing to repair", colors.paint(Tone::Good, "clean")));
    }
    for lost in plan.lost() {
        let tone = if matches!(lost.why, Loss::Cut | Loss::Unwritten) { Tone::Doubtful } else { Tone::Bad };
        let size = bytes(lost.to.get() - lost.from.get());
        let what = colors.paint(tone, why(lost.why)).to_string();
        out.line(&format!("lost    LSN {} to {} ({size}): {what}", lost.from, lost.to))?;
    }
    let kept = plan.kept();
    out.line(&format!(
        "kept    {} ({} in payloads), {}; LSN {} to {}",
        counted(kept.records, "record"),
        bytes(kept.payload_bytes),
        counted(kept.batches, "batch"),
        plan.start(),
        plan.end()
    ))?;
    for (path, action) in plan.actions() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        out.line(&format!("{:<7} {name}", action_word(*action)))?;
    }
    if let Some(quarantine) = plan.quarantine() {
        out.line(&format!(
            "{}: the originals are in {}",
            colors.paint(Tone::Good, "repaired"),
            quarantine.display()
        ))?;
    } else if !options.apply {
        let word = if found == Outcome::Clean { "dry run" } else { found.word() };
        let again = match plan.way() {
            Way::To(_) => " (the LSNs that are cut away will be given to other records)",
            _ => "",
        };
        out.line(&format!("{word}: nothing was changed; --apply does it{again}"))?;
    }
    Ok(())
}
