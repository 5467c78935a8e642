//! Logs with compressed records: reading on behind what does not unpack, tails, readers, and damage below.

use std::time::Duration;

use tidelog::compress::{Address, CompressedLog, CompressedReader, Compression, Packer};
use tidelog::{ErrorKind, LogReader, Lsn};

use crate::support::{all, dictionary, line, lines, new_log, noise, options};

const ZSTD: Compression = Compression::Zstd { level: 3 };

#[test]
fn iteration_goes_on_behind_what_does_not_unpack() {
    let (_dir, log) = new_log(Packer::new(ZSTD).unpacked_bytes_max(10_000));
    let stranger =
        CompressedLog::new(log.log().clone(), Packer::new(ZSTD).threshold_bytes(0).dictionary(dictionary()));
    log.append(&line(0)).unwrap();
    let unknown = log.log().append(&[1, 2, 3, 0x4f]).unwrap();
    log.append(&line(1)).unwrap();
    let large = stranger.append(&[b'x'; 20_000]).unwrap();
    let dictionary = stranger.append(&line(5)).unwrap();
    let empty = log.log().append(b"").unwrap();
    let packed = log.append_batch(&lines(2..40)).unwrap();
    assert!(packed.is_packed());
    let damaged = log.log().append(&[9, 9, 9, 1, 0, 0, 0, 0x41]).unwrap();
    log.append(&line(40)).unwrap();

    let bad = [
        (unknown, ErrorKind::Unsupported),
        (large, ErrorKind::NotFound),
        (dictionary, ErrorKind::NotFound),
        (empty, ErrorKind::Undecodable),
        (damaged, ErrorKind::Undecodable),
    ];
    let snapshot = log.log().snapshot();
    let mut replay = log.replay(&snapshot);
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    loop {
        match replay.next() {
            Ok(Some(record)) => found.push(record.payload().to_vec()),
            Ok(None) => break,
            Err(error) => errors.push((error.lsn().unwrap(), error.kind())),
        }
    }
    assert_eq!(found, lines(0..41));
    assert_eq!(errors.len(), bad.len());
    for ((lsn, kind), (found, found_kind)) in bad.iter().zip(&errors) {
        assert_eq!(lsn, found);
        // An envelope over the maximum is told before its dictionary is looked for.
        let kind = if *lsn == large { ErrorKind::TooLarge } else { *kind };
        assert_eq!(kind, *found_kind);
        assert_eq!(log.read(*lsn).unwrap_err().kind(), kind);
        assert_eq!(log.read_all(*lsn).unwrap_err().lsn(), Some(*lsn));
    }
    let mut tail = log.follow(log.log().tail(Lsn::ZERO).unwrap());
    let mut seen = (0, 0);
    loop {
        match tail.try_next() {
            Ok(Some(_)) => seen.0 += 1,
            Ok(None) => break,
            Err(_) => seen.1 += 1,
        }
    }
    assert_eq!(seen, (41, 5));
}

#[test]
fn a_packed_batch_is_one_record_of_the_log() {
    let (_dir, log) = new_log(Packer::new(ZSTD));
    let before = log.append(b"before").unwrap();
    let addresses: Vec<Address> = log.append_batch(&lines(0..100)).unwrap().collect();
    assert_eq!(log.log().snapshot().iter().count(), 2);
    let lsn = addresses[0].lsn();
    assert!(lsn > before);
    for (index, address) in addresses.iter().enumerate() {
        assert_eq!(*address, Address::new(lsn, index as u32));
        assert_eq!(log.read(*address).unwrap().payload(), line(index as u64));
    }
    let together = log.read_all(lsn).unwrap();
    assert_eq!(together.len(), 100);
    for (record, address) in together.iter().zip(&addresses) {
        assert_eq!((record.address(), record.payload()), (*address, &line(address.index().into())[..]));
    }
    assert_eq!(log.read(lsn).unwrap().payload(), line(0));
    for beyond in [Address::new(lsn, 100), Address::new(lsn, u32::MAX), Address::new(before, 1)] {
        assert_eq!(log.read(beyond).unwrap_err().kind(), ErrorKind::NotARecord);
    }
    let whole = log.append(&line(1).repeat(9)).unwrap();
    assert_eq!(log.read_all(whole).unwrap().len(), 1);
    assert!(!log.append_batch(&[noise(1, 400), noise(2, 400)]).unwrap().is_packed());
    assert_eq!(log.append_batch::<Vec<u8>>(&[]).unwrap().len(), 0);
}

/// More than the log takes raw, when the envelope is small enough.
#[test]
fn what_is_too_large_is_judged_by_its_envelope() {
    let (_dir, log) = new_log(Packer::new(ZSTD));
    let large = vec![b'z'; log.log().record_bytes_max() * 4];
    let lsn = log.append(&large).unwrap();
    assert_eq!(log.read(lsn).unwrap().payload(), large);
    let random = noise(1, large.len());
    assert_eq!(log.append(&random).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(log.append_batch(&[&random]).unwrap_err().kind(), ErrorKind::TooLarge);
    assert!(log.append_batch(&vec![line(1); 5000]).unwrap().is_packed());
}

#[test]
fn another_process_reads_and_follows() {
    let (dir, log) = new_log(Packer::new(Compression::Lz4));
    let reader = CompressedReader::new(LogReader::open(dir.path()).unwrap(), Packer::new(Compression::None));
    let mut tail = reader.follow(reader.reader().tail(Lsn::ZERO).unwrap());
    assert!(tail.try_next().unwrap().is_none());
    let mut addresses: Vec<Address> = log.append_batch(&lines(0..30)).unwrap().collect();
    addresses.push(log.append(&line(30)).unwrap().into());
    let snapshot = reader.reader().snapshot().unwrap();
    let mut replay = reader.replay(&snapshot);
    for (n, address) in addresses.iter().enumerate() {
        let record = replay.next().unwrap().unwrap();
        assert_eq!((record.address(), record.payload().to_vec()), (*address, line(n as u64)));
        let record = tail.next_timeout(Duration::from_secs(20)).unwrap().unwrap();
        assert_eq!((record.address(), record.payload().to_vec()), (*address, line(n as u64)));
        assert_eq!(reader.read(*address).unwrap().payload(), line(n as u64));
    }
    assert!(replay.next().unwrap().is_none());
    assert_eq!(reader.read_all(addresses[0].lsn()).unwrap().len(), 30);
}

/// What the envelope does not notice, the frame's checksum does: every bit of a compressed record in its file.
#[test]
fn a_changed_bit_never_reaches_the_reader() {
    let (dir, log) = new_log(Packer::new(ZSTD));
    let lsn = log.append_batch(&lines(0..10)).unwrap().next().unwrap().lsn();
    let length = log.log().read(lsn).unwrap().payload().len();
    log.log().close().unwrap();
    drop(log);
    let name = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let file = name.filter(|path| path.extension().is_some_and(|ext| ext == "seg")).min().unwrap();
    let whole = std::fs::read(&file).unwrap();
    let at = 4096 + lsn.get() as usize + 16;
    let log = LogReader::open(dir.path()).unwrap();
    let reader = CompressedReader::new(log, Packer::new(Compression::None));
    for bit in 0..length * 8 {
        let mut changed = whole[at..at + length].to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        let handle = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&handle, &changed, at as u64).unwrap();
        assert_eq!(reader.read(lsn).unwrap_err().kind(), ErrorKind::Corrupt, "bit {bit}");
    }
    let handle = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&handle, &whole[at..at + length], at as u64).unwrap();
    let log = CompressedLog::new(options().open(dir.path()).unwrap(), Packer::new(Compression::None));
    assert_eq!(all(&log), lines(0..10));
}
