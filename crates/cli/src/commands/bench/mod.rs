//! `bench`: what this disk and this machine give.

mod appends;
mod latency;
mod machine;
mod place;
mod plan;
mod report;
mod svg;
mod syncs;

use self::appends::Append;
use self::latency::Axis;
use self::machine::Machine;
use self::place::Place;
use self::plan::Plan;
use self::syncs::Sync;
use crate::args::{Bench, Drawing, Global};
use crate::exit::{Fail, Outcome};
use crate::out::Out;
use crate::picture::Target;
use crate::progress;

/// All that was measured.
#[derive(Debug)]
struct Measured {
    /// Where.
    directory: String,
    machine: Machine,
    plan: Plan,
    syncs: Vec<Sync>,
    appends: Vec<Append>,
}

pub(super) fn run(options: &Bench, global: &Global, out: &mut Out) -> Result<Outcome, Fail> {
    let target = Target::new(options.picture.out.as_deref(), None)?;
    let measured = measure(options, global)?;
    if global.json {
        out.json(measured.json())?;
        return Ok(Outcome::Clean);
    }
    let text = match options.picture.output {
        Drawing::Text => measured.text(),
        Drawing::Svg => svg::draw(&measured),
        Drawing::Html => measured.page(&svg::draw(&measured)),
    };
    target.write(&text, out)?;
    Ok(Outcome::Clean)
}

fn measure(options: &Bench, global: &Global) -> Result<Measured, Fail> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let plan = Plan::new(options, processors)?;
    // Gone again when this returns, however it does.
    let place = Place::new(options, global)?;
    place.check_room(plan.room())?;
    let machine = Machine::look(place.parent());
    for warning in machine.warnings() {
        global.colors().remark(&warning);
    }
    let bar = progress::parts(plan.works.len() as u64 + 2, !global.json);
    bar.set_message("syncs");
    let mut syncs = vec![syncs::file(&place, &plan)?];
    bar.inc(1);
    syncs.push(syncs::mapping(&place, &plan)?);
    let mut appends = Vec::new();
    for work in &plan.works {
        bar.inc(1);
        bar.set_message(format!("{}, {} B, {} threads", work.policy_word(), work.record_bytes, work.threads));
        appends.push(appends::run(&place, &plan, *work)?);
    }
    bar.finish_and_clear();
    let directory = place.parent().display().to_string();
    Ok(Measured { directory, machine, plan, syncs, appends })
}

impl Measured {
    /// On which every time that was measured finds room.
    fn axis(&self) -> Axis {
        let syncs = self.syncs.iter().map(|sync| &sync.latency);
        Axis::over(syncs.chain(self.appends.iter().map(|append| &append.latency)))
    }
}
