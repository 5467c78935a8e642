//! What is whole in itself and stands in a wrong place, or contradicts the rest.

use tidelog::ErrorKind;

use crate::bits::shapes;
use crate::place::{Bench, Seen};
use crate::sample::{Element, Sample, locate};
use crate::support::{crc64, segment_name};

/// An entry of the session table says that an opening began behind the end that the mark of `close` tells. (It was
/// opened all the same, and the new entry, which begins before that one, made the log unreadable.)
#[test]
fn an_opening_behind_the_mark_of_close_is_corruption() {
    for shape in shapes(1, 0).into_iter().filter(|shape| shape.closed) {
        let sample = Sample::new(shape);
        let mut bench = Bench::new(&sample);
        let name = segment_name(0);
        let mut entry: [u8; 64] = sample.files[&name][2112..2176].try_into().unwrap();
        let end = sample.elements.last().unwrap().end;
        entry[..8].copy_from_slice(&(end + 64).to_le_bytes());
        let crc = crc64(&entry[..56]);
        entry[56..].copy_from_slice(&crc.to_le_bytes());
        bench.damage(&name, 2176, &entry);
        bench.open(&format!("{shape:?}"));
        let error = sample.options.open(bench.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

/// Frames of the same size in one another's place: each is whole, and stands at an LSN that is not its own.
#[test]
fn a_frame_in_the_place_of_another_is_damage() {
    let mut seen = Seen::default();
    for shape in shapes(1, 0) {
        let sample = Sample::new(shape);
        let mut bench = Bench::new(&sample);
        let name = segment_name(0);
        for (index, one) in sample.elements.iter().enumerate() {
            let size = |element: &Element| element.end - element.lsn;
            // The nearest ones of the same size.
            let later = sample.elements[index + 1..].iter().filter(|two| size(two) == size(one));
            for two in later.take(4) {
                let (from, to) = (locate(one.lsn).1 as usize, locate(two.lsn).1 as usize);
                let len = size(one) as usize;
                let bytes = |at: usize| sample.files[&name][at..at + len].to_vec();
                bench.damage(&name, to, &bytes(from));
                bench.look(&format!("{shape:?}: {} also at {}", one.lsn, two.lsn));
                bench.damage(&name, from, &bytes(to));
                bench.look(&format!("{shape:?}: {} and {} exchanged", one.lsn, two.lsn));
                bench.open(&format!("{shape:?}: {} and {} exchanged", one.lsn, two.lsn));
                bench.heal(&name, from, len);
                bench.heal(&name, to, len);
            }
        }
        seen.add(bench.seen);
    }
    println!("frames in the place of others: {seen}");
}
