//! A full device, at every moment of a log's life, on each file system, under each policy: no signal, no other error
//! than `StorageFull`, nothing lost, and the log goes on when there is room (G9).

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Instant;

use crate::device::{Device, Kind};
use crate::figures::Figures;
use crate::stages::STAGES;
use crate::support::{finish, myself, role, skip};
use crate::writer::{POLICIES, Setting};

/// What is left for the log and the ballast: some twenty segments.
const ROOM_BYTES: u64 = 6 << 20;

const SIGBUS: i32 = 7;

#[test]
fn child_on_a_full_device() {
    let Some(role) = role() else { return };
    let (stage, rest) = role.split_once('|').unwrap();
    let (beside, setting) = rest.split_once('|').unwrap();
    let (_, run) = STAGES.iter().find(|(name, _)| *name == stage).unwrap();
    run(&Setting::of_role(setting), Path::new(beside));
}

/// Runs a stage in a child. One that dies of a signal is counted; what else goes wrong is a failure.
fn run(stage: &str, device: &Device, setting: &Setting, figures: &mut Figures) {
    let role = format!("{stage}|{}|{}", device.beside().display(), setting.to_role());
    let output = finish(myself("full::child_on_a_full_device", &role));
    let said = String::from_utf8_lossy(&output.stdout);
    figures.cases += 1;
    figures.add(&said);
    if output.status.signal() == Some(SIGBUS) {
        figures.signals += 1;
        println!("{} {stage} {}: SIGBUS", device.kind.name(), setting.to_role());
        return;
    }
    assert!(
        output.status.success(),
        "{} {role}: {}\n--- stdout\n{said}\n--- stderr\n{}",
        device.kind.name(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Leaves only what the device was made with.
fn clear(device: &Path) {
    for entry in std::fs::read_dir(device).unwrap().map(Result::unwrap) {
        if entry.file_name() != "taken"
            && entry.file_type().unwrap().is_dir()
            && entry.file_name() != "lost+found"
        {
            std::fs::remove_dir_all(entry.path()).unwrap();
        }
    }
}

fn fill_at_every_stage(kind: Kind) {
    let test = format!("a full {}", kind.name());
    if role().is_some() {
        return;
    }
    let device = match Device::new(kind, ROOM_BYTES) {
        Ok(device) => device,
        Err(missing) => {
            skip(&test, Some(missing));
            return;
        }
    };
    let began = Instant::now();
    let everything = std::env::var("TIDELOG_THOROUGH").as_deref() == Ok("1");
    let mut figures = Figures::default();
    for policy in 0..POLICIES {
        // Under `None` the default is not to fill with zeros.
        let other = if policy == 0 { 64 << 10 } else { 0 };
        for zero_fill in [None, Some(other)] {
            let setting = Setting { device: device.path(), policy, zero_fill };
            clear(&device.path());
            for (index, (stage, _)) in STAGES.into_iter().enumerate() {
                // Finding out that it is full takes Btrfs tens of milliseconds each time: every stage once.
                let turn = index.min(STAGES.len() - 2) % 8;
                if kind == Kind::Btrfs && !everything && turn != policy * 2 + usize::from(zero_fill.is_some())
                {
                    continue;
                }
                run(stage, &device, &setting, &mut figures);
                if stage != "die" {
                    clear(&device.path());
                }
            }
        }
    }
    println!("full {}: {figures}, in {:?}", kind.name(), began.elapsed());
    assert_eq!(figures.signals, 0, "SIGBUS on a full device");
    assert!(figures.errors.keys().eq(["StorageFull"]), "{:?}", figures.errors);
}

#[test]
fn a_full_tmpfs_is_an_error_and_goes_away_again() {
    fill_at_every_stage(Kind::Tmpfs);
}

#[test]
fn a_full_ext4_is_an_error_and_goes_away_again() {
    fill_at_every_stage(Kind::Ext4);
}

#[test]
fn a_full_xfs_is_an_error_and_goes_away_again() {
    fill_at_every_stage(Kind::Xfs);
}

#[test]
fn a_full_btrfs_is_an_error_and_goes_away_again() {
    fill_at_every_stage(Kind::Btrfs);
}
