//! A hostile root of partitions: whatever `partitions.meta` holds and whatever names stand beside it, opening gives a root or an
//! error, a refused root is not changed, and one that was opened opens again as it was.
//!
//! The first 128 bytes of an input are the file; what follows are names of directories, a zero between each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidelog::{PartitionOptions, Partitions};

const META: &str = "partitions.meta";
const META_BYTES: usize = 128;

fuzz_target!(|input: &[u8]| {
    let (meta, names) = input.split_at(input.len().min(META_BYTES));
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    std::fs::write(dir.path().join(META), meta).unwrap();
    for name in names.split(|byte| *byte == 0).take(8).filter_map(|name| std::str::from_utf8(name).ok()) {
        if !name.is_empty() && !name.contains('/') && ![".", ".."].contains(&name) {
            // Too long a name is refused, and a second one of a kind.
            let _ = std::fs::create_dir(dir.path().join(name));
        }
    }
    let options = PartitionOptions::new().sync_threads(1);
    let Ok(partitions) = options.open(dir.path()) else {
        assert_eq!(std::fs::read(dir.path().join(META)).unwrap(), meta, "a refused root was changed");
        return;
    };
    let ids = partitions.ids().unwrap();
    for id in &ids {
        // A directory without a log in it.
        assert!(partitions.get_existing(*id).is_ok_and(|log| log.snapshot().iter().next().is_none()));
    }
    let belongs = |partitions: &Partitions| [&b""[..], b"a", b"user-1"].map(|key| partitions.id_of_key(key).ok());
    let before = belongs(&partitions);
    partitions.close().unwrap();
    let again = options.open(dir.path()).expect("a root that was opened opens again");
    assert_eq!((again.ids().unwrap(), belongs(&again)), (ids, before));
});
