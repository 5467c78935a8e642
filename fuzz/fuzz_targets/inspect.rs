//! Hostile files under `tidelog::inspect`: values or errors, in bounded time; frames counted and frames stepped over are the
//! same; and looking changes nothing.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tidelog_fuzz::hostile::Hostile;
use tidelog_fuzz::walks::look;

#[derive(Arbitrary, Debug)]
struct Input {
    limit: Option<u32>,
    files: Hostile,
}

fuzz_target!(|input: Input| {
    let files = input.files.files();
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    for (name, bytes) in &files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    // Most logs end before this.
    look(dir.path(), input.limit.map(|limit| u64::from(limit % (1 << 18))));
    let entries = std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap);
    for entry in entries {
        let name = entry.file_name().into_string().unwrap();
        assert!(std::fs::read(entry.path()).unwrap() == files[&name], "looking changed {name}");
    }
});
