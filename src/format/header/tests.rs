use super::*;

const IDENTITY: Identity = Identity { log_id: [7; 16], number: 3, segment_bytes: 65536 };

fn session(start: u64) -> Session {
    Session {
        start,
        number: 9,
        checksum: Checksum::Crc64,
        acks_durable: true,
        nonce: 0x1234_5678,
        boot: [3; 16],
        opened_unix_ns: 42,
    }
}

#[test]
fn a_header_round_trips() {
    let mut page = Header::encode_new(&IDENTITY, &session(IDENTITY.base()), 99);
    let header = Header::decode(page.as_slice()).unwrap();
    assert_eq!(header.identity, IDENTITY);
    assert_eq!(header.sessions, [session(IDENTITY.base())]);
    assert_eq!((header.tail_mark, header.durable_hint, header.torn_session), (None, None, false));

    let second = session(IDENTITY.base() + 64);
    let (offset, bytes) = header.session_slot(&second).unwrap();
    put(page.as_mut_slice(), offset, &bytes);
    let mark = TailMark { end: IDENTITY.base() + 64, durable: true, boot: [3; 16], sealed_unix_ns: 5 };
    put(page.as_mut_slice(), AT_TAIL_MARK, &TailMark::encode(Some(mark), &IDENTITY));
    let hint = durable_hint(&IDENTITY, IDENTITY.base() + 48);
    put(page.as_mut_slice(), AT_DURABLE_HINT, &hint.to_le_bytes());
    let header = Header::decode(page.as_slice()).unwrap();
    assert_eq!(header.sessions, [session(IDENTITY.base()), second]);
    assert_eq!(header.tail_mark, Some(mark));
    assert_eq!(header.durable_hint, Some(IDENTITY.base() + 48));
}

/// A page with these entries in its session table; `None` is one that is torn.
fn with_sessions(entries: &[Option<Session>]) -> Result<Header, HeaderError> {
    let mut page = Header::encode_new(&IDENTITY, &session(IDENTITY.base()), 99);
    for (index, entry) in entries.iter().enumerate() {
        let bytes = entry.map_or([1; SESSION_BYTES], |entry| entry.encode());
        put(page.as_mut_slice(), AT_SESSIONS + index * SESSION_BYTES, &bytes);
    }
    Header::decode(page.as_slice())
}

#[test]
fn the_session_table_is_in_order_and_inside_the_segment() {
    let base = IDENTITY.base();
    let end = base + IDENTITY.segment_bytes;
    let at = |start| Some(session(start));
    for starts in [&[base][..], &[base, base], &[base, base + 8, base + 8, end], &[base, end, end]] {
        let entries: Vec<_> = starts.iter().map(|start| at(*start)).collect();
        let header = with_sessions(&entries).unwrap();
        assert!(header.sessions.iter().map(|session| session.start).eq(starts.iter().copied()));
        assert!(!header.torn_session);
    }
    for wrong in [
        &[at(base - 8)][..],
        &[at(base + 8)],
        &[at(base), at(end + 8)],
        &[at(base), at(base + 16), at(base + 8)],
        &[None],
        &[None, at(base)],
        &[at(base), None, at(base + 8)],
    ] {
        assert!(matches!(with_sessions(wrong), Err(HeaderError::Corrupt(_))), "{wrong:?}");
    }
    let torn = with_sessions(&[at(base), at(base + 8), None]).unwrap();
    assert_eq!((torn.sessions.len(), torn.torn_session), (2, true));
}

#[test]
fn a_session_round_trips_and_the_last_slot_is_the_last() {
    let first = session(IDENTITY.base());
    for checksum in [Checksum::Crc32c, Checksum::Crc64] {
        for acks_durable in [false, true] {
            let session = Session { checksum, acks_durable, ..first };
            assert_eq!(Session::decode(&session.encode()), Some(session));
        }
    }
    for unknown in [0, 3, 255] {
        let mut bytes = first.encode();
        bytes[12] = unknown;
        let crc = crc64(&bytes[..56]);
        put(&mut bytes, 56, &crc.to_le_bytes());
        assert_eq!(Session::decode(&bytes), None, "checksum {unknown}");
    }
    let mut sessions = vec![Some(first); SESSIONS_MAX - 1];
    let header = with_sessions(&sessions).unwrap();
    assert_eq!(header.session_slot(&first).unwrap(), (2048 + (SESSIONS_MAX - 1) * 64, first.encode()));
    sessions.push(Some(first));
    let full = with_sessions(&sessions).unwrap();
    assert_eq!((full.sessions.len(), full.session_slot(&first)), (SESSIONS_MAX, None));
}

/// Marks of other places, and places outside of the segment, are no marks.
#[test]
fn marks_and_hints_count_inside_their_segment_only() {
    let base = IDENTITY.base();
    let end = base + IDENTITY.segment_bytes;
    let other = Identity { number: 4, ..IDENTITY };
    for (place, counts) in [(base, true), (base + 8, true), (end, true), (base - 8, false), (end + 8, false)]
    {
        for durable in [false, true] {
            let mark = TailMark { end: place, durable, boot: [3; 16], sealed_unix_ns: 5 };
            let bytes = TailMark::encode(Some(mark), &IDENTITY);
            assert_eq!(TailMark::decode(&bytes, &IDENTITY), counts.then_some(mark));
            assert_eq!(TailMark::decode(&bytes, &other), None);
        }
        let hint = durable_hint(&IDENTITY, place);
        // What is durable beyond the segment is its end, and what is not yet in it its beginning.
        assert_eq!(decode_durable_hint(hint, &IDENTITY), Some(place.clamp(base, end)));
        assert_eq!(decode_durable_hint(hint, &other), None);
    }
    assert_eq!(TailMark::encode(None, &IDENTITY), [0; TAIL_MARK_BYTES]);
    assert_eq!(decode_durable_hint(0, &IDENTITY), None);
}

#[test]
fn a_page_that_contradicts_itself_is_corrupt_and_another_version_is_told() {
    let page = Header::encode_new(&IDENTITY, &session(IDENTITY.base()), 99);
    let with = |at: usize, bytes: &[u8]| {
        let mut page = page.clone();
        put(page.as_mut_slice(), at, bytes);
        let crc = crc64(&page[..AT_CRC]);
        put(page.as_mut_slice(), AT_CRC, &crc.to_le_bytes());
        Header::decode(page.as_slice()).map(|header| header.identity)
    };
    assert_eq!(with(AT_CREATED, &[1]), Ok(IDENTITY));
    assert_eq!(with(AT_VERSION, &[2]), Err(HeaderError::Version(2)));
    for at in [0, AT_BASE, AT_NUMBER, AT_SEGMENT_BYTES] {
        assert!(matches!(with(at, &[9]), Err(HeaderError::Corrupt(_))), "at {at}");
    }
    for len in [0, 8, PAGE - 1] {
        assert!(matches!(Header::decode(&page[..len]), Err(HeaderError::Corrupt(_))), "{len} bytes");
    }
}

/// A flipped bit in what never changes is an error; in the marks it voids them; in the session
/// table it is an error or shows as torn. Nothing else comes of it, and never a panic.
#[test]
fn every_flipped_bit_is_noticed() {
    let mut page = Header::encode_new(&IDENTITY, &session(IDENTITY.base()), 99);
    let mark = TailMark { end: IDENTITY.base() + 64, durable: true, boot: [3; 16], sealed_unix_ns: 5 };
    put(page.as_mut_slice(), AT_TAIL_MARK, &TailMark::encode(Some(mark), &IDENTITY));
    put(page.as_mut_slice(), AT_DURABLE_HINT, &durable_hint(&IDENTITY, IDENTITY.base() + 48).to_le_bytes());
    for bit in 0..PAGE * 8 {
        let mut flipped = page.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let at = bit / 8;
        let decoded = Header::decode(flipped.as_slice());
        match at {
            0..128 => assert!(decoded.is_err(), "bit {bit}"),
            AT_TAIL_MARK..576 => assert_eq!(decoded.unwrap().tail_mark, None, "bit {bit}"),
            AT_DURABLE_HINT..1032 => assert_eq!(decoded.unwrap().durable_hint, None, "bit {bit}"),
            AT_SESSIONS..2112 => assert!(decoded.is_err(), "bit {bit}"),
            2112..4032 => assert!(decoded.unwrap().torn_session, "bit {bit}"),
            _ => assert!(decoded.is_ok(), "bit {bit} is in reserved space"),
        }
    }
}

/// The next opening would be entered into the gap, before one that is older.
#[test]
fn an_entry_of_the_session_table_behind_an_empty_one_is_damage() {
    let mut page = Header::encode_new(&IDENTITY, &session(IDENTITY.base()), 99);
    put(page.as_mut_slice(), AT_SESSIONS + 2 * SESSION_BYTES, &session(IDENTITY.base() + 64).encode());
    assert!(matches!(Header::decode(page.as_slice()), Err(HeaderError::Corrupt(_))));
    put(page.as_mut_slice(), AT_SESSIONS + SESSION_BYTES, &session(IDENTITY.base() + 64).encode());
    assert_eq!(Header::decode(page.as_slice()).unwrap().sessions.len(), 3);
}

/// Forged, with checksums that hold: a walk that began there would look for words in odd places.
#[test]
fn a_mark_and_a_hint_inside_of_a_word_are_none() {
    for (end, counts) in [(64, true), (68, false), (65, false), (1 << 16, true), ((1 << 16) + 8, false)] {
        let mut page = Header::encode_new(&IDENTITY, &session(IDENTITY.base()), 99);
        let mark = TailMark { end: IDENTITY.base() + end, durable: true, boot: [3; 16], sealed_unix_ns: 5 };
        put(page.as_mut_slice(), AT_TAIL_MARK, &TailMark::encode(Some(mark), &IDENTITY));
        let hint = end | (mix(place_seed(&IDENTITY) ^ end) << 32);
        put(page.as_mut_slice(), AT_DURABLE_HINT, &hint.to_le_bytes());
        let header = Header::decode(page.as_slice()).unwrap();
        assert_eq!(header.tail_mark.is_some(), counts, "{end}");
        assert_eq!(header.durable_hint.is_some(), counts, "{end}");
    }
}
