//! Repairs, from outside: what is told, the exit codes, and that the log is whole afterwards. What becomes of every kind of
//! damage, the library's tests hold (`tests/repair`).

use serde_json::json;
use tidelog::Lsn;

use crate::support::{
    Files, SEGMENT, closed, command, files, killed, options, place, restore, run, segment_name,
};

/// The log's own files.
fn log_files(dir: &std::path::Path) -> Files {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    let plain =
        entries.filter(|entry| entry.file_type().unwrap().is_file() && entry.file_name() != "log.lock");
    plain
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

fn without_lock(files: &Files) -> Files {
    files
        .iter()
        .filter(|(name, _)| *name != "log.lock")
        .map(|(name, bytes)| (name.clone(), bytes.clone()))
        .collect()
}

#[test]
fn a_sound_log_is_left_alone() {
    let (dir, _) = closed();
    let before = log_files(dir.path());
    for arguments in [&["repair"][..], &["repair", "--apply"], &["repair", "--salvage", "--apply"]] {
        let ran = run(dir.path(), arguments);
        assert_eq!((ran.code, ran.out.as_str()), (0, "clean: there is nothing to repair\n"), "{ran:?}");
    }
    assert!(log_files(dir.path()) == before);
}

#[test]
fn damage_is_refused_with_advice_and_salvaged() {
    let (dir, all) = closed();
    let mut damaged = files(dir.path());
    let (name, at) = place(all[200].0);
    damaged.get_mut(&name).unwrap()[at + 20] ^= 1;
    let dir = restore(&damaged);
    for arguments in [&["repair"][..], &["repair", "--apply"]] {
        let ran = run(dir.path(), arguments);
        assert_eq!(ran.code, 4, "{ran:?}");
        let advice = format!("repair --to {}` would keep the 200 records", all[200].0);
        assert!(
            ran.err.contains("--salvage` would keep 602 records,") && ran.err.contains(&advice),
            "{ran:?}"
        );
    }
    let dry = run(dir.path(), &["repair", "--salvage", "--json"]);
    assert_eq!(dry.code, 4, "{dry:?}");
    assert!(without_lock(&damaged) == log_files(dir.path()), "a dry run changes nothing");
    let done = run(dir.path(), &["repair", "--salvage", "--apply", "--json"]);
    assert_eq!(done.code, 10, "{done:?}");
    let (dry, done) = (dry.json(), done.json());
    for field in ["start", "end", "kept", "lost", "actions"] {
        assert_eq!(dry[field], done[field], "{field}");
    }
    let bytes = all[201].0.get() - all[200].0.get();
    let lost = json!([{"from": all[200].0.get(), "to": all[201].0.get(), "bytes": bytes, "why": "damaged"}]);
    assert_eq!((&done["lost"], &done["kept"]["records"]), (&lost, &json!(602)));
    let kept = std::path::Path::new(done["quarantine"].as_str().unwrap()).join(&name);
    assert!(std::fs::read(kept).unwrap() == damaged[&name]);
    assert_eq!(run(dir.path(), &["verify"]).code, 0);
    let dump = run(dir.path(), &["dump", "--json"]);
    assert_eq!((dump.code, dump.out.lines().count()), (0, 602));
    assert_eq!(run(dir.path(), &["get", &all[200].0.to_string()]).code, 5);
    assert_eq!(run(dir.path(), &["get", &all[201].0.to_string()]).raw, all[201].1);
    // A second one finds its own place.
    let (name, at) = place(all[300].0);
    let path = dir.path().join(&name);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[at + 20] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let again = run(dir.path(), &["repair", "--salvage", "--apply"]);
    assert!(again.code == 10 && again.out.contains("quarantine-2"), "{again:?}");
}

#[test]
fn back_to_a_point_in_time() {
    let (dir, all) = closed();
    let before = files(dir.path());
    let lsn = all[300].0.to_string();
    let dry = run(dir.path(), &["repair", "--to", &lsn]);
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(
        dry.out.contains("kept    300 records") && dry.out.contains("will be given to other records"),
        "{dry:?}"
    );
    assert!(without_lock(&before) == log_files(dir.path()));
    let done = run(dir.path(), &["repair", "--to", &lsn, "--apply"]);
    assert_eq!(done.code, 10, "{done:?}");
    assert_eq!(run(dir.path(), &["verify", "--json"]).json()["records"], 300);
    assert_eq!(run(dir.path(), &["repair", "--to", &lsn, "--apply"]).code, 0, "it is done");
    let beyond = (all[300].0.get() + 8).to_string();
    assert_eq!(run(dir.path(), &["repair", "--to", &beyond]).code, 5);
}

#[test]
fn missing_segments_and_torn_tails_have_their_codes() {
    let (dir, _) = closed();
    let mut damaged = files(dir.path());
    damaged.remove(&segment_name(1)).unwrap();
    let dir = restore(&damaged);
    let ran = run(dir.path(), &["repair", "--salvage"]);
    assert_eq!(ran.code, 7, "{ran:?}");
    assert!(ran.out.contains(&format!("LSN {SEGMENT} to {} (64 KiB): missing", 2 * SEGMENT)), "{ran:?}");
    assert_eq!(run(dir.path(), &["repair", "--salvage", "--apply"]).code, 10);
    assert_eq!(run(dir.path(), &["verify"]).code, 0);

    let (files, all) = killed();
    let end = Lsn::new(run(restore(&files).path(), &["info", "--json"]).json()["end"].as_u64().unwrap());
    let (name, at) = place(end);
    let mut torn = files;
    torn.get_mut(&name).unwrap()[at..at + 400].fill(0xa5);
    let dir = restore(&torn);
    assert_eq!(run(dir.path(), &["repair"]).code, 3);
    let done = run(dir.path(), &["repair", "--apply"]);
    assert_eq!(done.code, 10, "{done:?}");
    assert_eq!(run(dir.path(), &["verify", "--json"]).json()["records"], json!(all.len()));
    assert_eq!(run(dir.path(), &["repair"]).code, 0);
}

#[test]
fn metadata_that_are_gone_are_told_by_the_segments() {
    let (dir, all) = closed();
    let mut damaged = files(dir.path());
    damaged.remove("log.meta").unwrap();
    let dir = restore(&damaged);
    assert_eq!(run(dir.path(), &["verify"]).code, 4);
    assert_eq!(run(dir.path(), &["repair", "--salvage"]).code, 4);
    assert_eq!(run(dir.path(), &["repair", "--salvage", "--apply"]).code, 10);
    assert_eq!(run(dir.path(), &["verify", "--json"]).json()["records"], json!(all.len()));
}

#[test]
fn a_writer_is_not_disturbed() {
    let dir = tempfile::tempdir().unwrap();
    let log = options().open(dir.path()).unwrap();
    log.append(b"one").unwrap();
    for arguments in [
        &["repair"][..],
        &["repair", "--apply"],
        &["repair", "--salvage", "--apply"],
        &["repair", "--to", "0"],
    ] {
        let ran = run(dir.path(), arguments);
        assert_eq!(ran.code, 6, "{ran:?}");
    }
    // Nor where nobody can tell who it is.
    std::fs::remove_file(dir.path().join("log.meta")).unwrap();
    assert_eq!(run(dir.path(), &["repair", "--salvage", "--apply"]).code, 6);
    let none = tempfile::tempdir().unwrap();
    assert_eq!(run(none.path(), &["repair", "--apply"]).code, 5);
    let both = command(dir.path(), &["repair", "--to", "8", "--salvage"]).output().unwrap();
    assert_eq!(both.status.code(), Some(2));
}

/// An operator is root, and the log's user is not.
#[test]
fn files_keep_their_owner_and_permissions() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let (dir, all) = closed();
    let mut damaged = files(dir.path());
    let (name, at) = place(all[200].0);
    damaged.get_mut(&name).unwrap()[at + 20] ^= 1;
    damaged.remove(&segment_name(1)).unwrap();
    damaged.remove("log.meta").unwrap();
    let dir = restore(&damaged);
    let mut owner = std::fs::metadata(dir.path()).unwrap().uid();
    for name in damaged.keys() {
        let path = dir.path().join(name);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        // Where this is not root, the owner stays.
        if chown(&path, Some(12_345), Some(12_345)).is_ok() {
            owner = 12_345;
        }
    }
    assert_eq!(run(dir.path(), &["repair", "--salvage", "--apply"]).code, 10);
    for name in [name, segment_name(1), "log.meta".to_owned()] {
        let found = std::fs::metadata(dir.path().join(&name)).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o777), (owner, 0o640), "{name}");
    }
}
