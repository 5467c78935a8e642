//! The mutants: each breaks one rule, and names the test that must notice.

/// How a mutant's test is built and run. A new kind of test is a new value of this.
#[derive(Debug)]
pub struct Suite {
    /// What stands for the suite in the list.
    pub name: &'static str,
    /// Environment of the build and of the run.
    pub env: &'static [(&'static str, &'static str)],
    /// Arguments of `cargo` that choose the package and the profile; `--test TARGET` is added.
    pub cargo: &'static [&'static str],
    /// Folder of its build output, in `target`: where the step of `./test` builds, so that the dependencies are there.
    pub target_dir: &'static str,
    /// Name of the copy of the tree that is broken for it. Suites that build the library alike share one.
    pub tree: &'static str,
}

/// The model-checked scenarios of `loom-tests`.
pub static LOOM: Suite = Suite {
    name: "loom",
    env: &[("RUSTFLAGS", "--cfg tidelog_loom")],
    cargo: &["test", "-p", "tidelog-loom-tests", "--profile", "model"],
    target_dir: "loom",
    tree: "loom",
};

/// The random schedules of `shuttle-tests`.
pub static SHUTTLE: Suite = Suite {
    name: "shuttle",
    env: &[("RUSTFLAGS", "--cfg tidelog_shuttle")],
    cargo: &["test", "-p", "tidelog-shuttle-tests", "--profile", "model"],
    target_dir: "shuttle",
    tree: "shuttle",
};

/// The tests on the simulated disk.
pub static SIM: Suite = Suite {
    name: "sim",
    env: &[("CARGO_PROFILE_DEV_DEBUG", "0")],
    cargo: &["test", "--features", "testing"],
    target_dir: ".",
    tree: "disk",
};

/// Some of the model explorer's runs.
pub static EXPLORER: Suite = Suite {
    name: "explorer",
    env: &[("CARGO_PROFILE_DEV_DEBUG", "0")],
    cargo: &["test", "-p", "tidelog-explorer"],
    target_dir: ".",
    tree: "disk",
};

/// The tests on the system's files.
pub static FILES: Suite = Suite {
    name: "files",
    env: &[("CARGO_PROFILE_DEV_DEBUG", "0")],
    cargo: &["test"],
    target_dir: ".",
    tree: "files",
};

/// One way of breaking the code.
#[derive(Debug)]
pub struct Mutant {
    pub name: &'static str,
    pub file: &'static str,
    /// Occurs exactly once in the file.
    pub text: &'static str,
    pub replacement: &'static str,
    pub suite: &'static Suite,
    /// The test target and the test that must fail.
    pub test: (&'static str, &'static str),
    /// What it breaks.
    pub rule: &'static str,
    /// One of the few that `--quick` runs.
    pub quick: bool,
}

macro_rules! mutants {
    ($($name:ident $($quick:literal)?: $file:literal, $text:literal => $replacement:literal,
       $suite:ident $target:literal $test:literal, $rule:literal;)*) => {
        /// All of them.
        pub static MUTANTS: &[Mutant] = &[$(Mutant {
            name: stringify!($name),
            file: $file,
            text: $text,
            replacement: $replacement,
            suite: &$suite,
            test: ($target, $test),
            rule: $rule,
            quick: { let quick: &[&str] = &[$($quick)?]; !quick.is_empty() },
        }),*];
    };
}

mutants! {
    // ---- PUBLISH, ABORT
    publish_relaxed "quick": "src/segment/claim.rs",
        "self.window.store_release(word);\n        core::mem::forget(self);"
        => "self.window.store_relaxed(0, word);\n        core::mem::forget(self);",
        LOOM "publish" "a_tail_reads_whole_records",
        "PUBLISH, release side: the payload is written before the word that publishes it";
    abort_relaxed "quick": "src/segment/claim.rs",
        "    window.store_release(word);\n    signal.tell();"
        => "    window.store_relaxed(0, word);\n    signal.tell();",
        LOOM "publish" "a_reader_verifies_padding",
        "ABORT, release side: padding's checksum is written before its word";
    word_loaded_relaxed "quick": "src/region/shadow.rs",
        "self.region.words[word].load(Ordering::Acquire)" => "self.region.words[word].load(Ordering::Relaxed)",
        LOOM "publish" "a_tail_reads_whole_records",
        "PUBLISH and ABORT, acquire side: a frame is read after its word";
    touch_after_publish "quick": "src/segment/claim.rs",
        "self.window.store_release(word);\n        core::mem::forget(self);"
        => "self.window.store_release(word);\n        let mut late = self;\n        let _ = late.payload_mut(0, 0);\n        late.store_checksum(0, word, 0);\n        core::mem::forget(late);",
        LOOM "ring" "nothing_is_touched_after_publishing",
        "RECYCLE: publishing is a claim's last touch of the mapping";
    claim_not_announced: "src/segment/claim.rs",
        "window.store_first(frame::word(Kind::Claimed, place.bytes, 0));"
        => "let _ = Kind::Claimed;",
        LOOM "publish" "a_record_is_read_behind_a_running_closure",
        "a claim's first word tells its length, so that others get past it";
    batch_first_word_first "quick": "src/segment/claim.rs",
        "        let kind = if last {"
        => "        self.window.store_release(frame::word(Kind::BatchFirst, 0, 0));\n        let kind = if last {",
        LOOM "publish" "a_batch_is_all_or_nothing",
        "the first word of a batch is stored last";
    // ---- The claim
    plain_store_instead_of_add "quick": "src/chain/mod.rs",
        "let position = self.cursor.fetch_add(bytes, Ordering::Relaxed);"
        => "let position = self.cursor.load(Ordering::Relaxed);\n            self.cursor.store(position + bytes, Ordering::Relaxed);",
        LOOM "claim" "claims_are_disjoint",
        "one atomic addition hands out the log: no range twice";
    straddle_forgets_the_second_part "quick": "src/chain/mod.rs",
        "second?.abort();" => "core::mem::forget(second?);",
        LOOM "claim" "a_straddling_claim_pads_both_parts",
        "a claim that straddles pads both parts";
    straddle_forgets_the_first_part: "src/chain/mod.rs",
        "first?.abort();" => "core::mem::forget(first?);",
        LOOM "claim" "a_straddling_claim_pads_both_parts",
        "a claim that straddles pads both parts";
    overrun_not_awaited: "src/chain/mod.rs",
        "let outcome = self.supply.wait_installed(position, bytes, installed, refused);\n"
        => "let _ = (position, bytes, installed, refused);\n        let outcome = Ok(());\n",
        LOOM "claim" "claims_overrun_the_prepared_segments",
        "a claim beyond the prepared segments waits for its segment";
    nested_claim_waits "quick": "src/chain/mod.rs",
        "closed.or_else(|| crate::reentry::refuse_inside_claim().err())" => "closed",
        LOOM "claim" "a_claim_inside_a_claim_does_not_wait",
        "a thread with a claim open never waits for a segment";
    orphan_forgotten: "src/chain/supply.rs",
        "state.orphans.push((position, bytes));" => "let _ = (position, bytes);",
        LOOM "claim" "an_orphan_is_padded_later",
        "a claim whose segment did not come is left to the preparer";
    orphan_not_padded "quick": "src/chain/supply.rs",
        "            pad(position, bytes);" => "            let _ = (&pad, position, bytes);",
        LOOM "claim" "a_straddling_orphan_is_padded_later",
        "the preparer pads the orphans of a segment that it installs";
    // ---- INSTALL, RECYCLE
    install_store_relaxed "quick": "src/chain/ring.rs",
        "slot.number.store(number, Ordering::Release);" => "slot.number.store(number, Ordering::Relaxed);",
        LOOM "ring" "a_claim_finds_the_installed_segment",
        "INSTALL, release side";
    install_load_relaxed "quick": "src/chain/ring.rs",
        "self.slot(number).number.load(Ordering::Acquire) == number"
        => "self.slot(number).number.load(Ordering::Relaxed) == number",
        LOOM "ring" "a_claim_finds_the_installed_segment",
        "INSTALL, acquire side";
    number_before_segment: "src/chain/ring.rs",
        "        slot.segment.with_mut(|place| {\n            // SAFETY: RECYCLE. `changing`"
        => "        slot.number.store(number, Ordering::Release);\n        slot.segment.with_mut(|place| {\n            // SAFETY: RECYCLE. `changing`",
        LOOM "ring" "a_claim_finds_the_installed_segment",
        "INSTALL: the segment stands in the slot before its number does";
    freed_before_published "quick": "src/chain/ring.rs",
        "published.position() >= segment.end()" => "published.position() >= segment.base()",
        LOOM "ring" "letting_go_spares_open_claims",
        "RECYCLE: a slot is let go of when its segment is wholly published";
    slot_one_segment_early: "src/chain/mod.rs",
        "(number - slots + 1)" => "(number - slots)",
        LOOM "ring" "the_recycler_waits_for_the_last_publish",
        "RECYCLE: a slot is free when its segment is wholly published";
    pin_ignored "quick": "src/chain/retired.rs",
        "Err(held) => self.held.push(held),"
        => "#[allow(unsafe_code)]\n                Err(held) => {\n                    unpinned(unsafe { core::ptr::read(&*held) });\n                    core::mem::forget(held);\n                }",
        LOOM "ring" "a_pin_keeps_the_segment",
        "PIN: a segment is reused when nobody holds it";
    idle_pin_ignored "quick": "src/chain/list.rs",
        "Err(held) => *slot = OnceLock::from(held),"
        => "#[allow(unsafe_code)]\n                    Err(held) => {\n                        idle.push(unsafe { core::ptr::read(&*held) });\n                        core::mem::forget(held);\n                    }",
        LOOM "ring" "what_is_read_is_not_unmapped",
        "PIN: a segment is unmapped when nobody holds it";
    unsynced_segment_unmapped: "src/chain/catalog.rs",
        "segment.end() <= *settled ||" => "segment.end() >= *settled ||",
        FILES "scale" "a_long_unsynced_log_is_unmapped_when_it_was_synced",
        "what a sync goes through stays mapped";
    idle_segments_stay_mapped: "src/chain/catalog.rs",
        "if beyond > 0 {" => "if beyond > usize::MAX / 2 {",
        FILES "scale" "a_reader_of_a_long_log_leaves_few_mappings_behind",
        "a log has a bounded number of mappings that nobody uses";
    // ---- PUBLISHED
    watermark_passes_open_claims "quick": "src/chain/frontier.rs",
        "Parsed::Unwritten | Parsed::Claimed { .. } => return Ok(()),\n                    Parsed::Padding { bytes } => bytes,"
        => "Parsed::Unwritten => return Ok(()),\n                    Parsed::Padding { bytes } | Parsed::Claimed { bytes } => bytes,",
        LOOM "publish" "the_watermark_waits_for_the_earlier_claim",
        "the watermark stops before the first open claim";
    published_store_relaxed "quick": "src/chain/frontier.rs",
        "self.published.store(walk.position, Ordering::Release);"
        => "self.published.store(walk.position, Ordering::Relaxed);",
        LOOM "publish" "the_watermark_hands_over_what_is_below_it",
        "PUBLISHED, release side";
    published_load_relaxed: "src/chain/frontier.rs",
        "self.published.load(Ordering::Acquire)" => "self.published.load(Ordering::Relaxed)",
        LOOM "publish" "the_watermark_hands_over_what_is_below_it",
        "PUBLISHED, acquire side";
    published_load_relaxed_at_recycle: "src/chain/frontier.rs",
        "self.published.load(Ordering::Acquire)" => "self.published.load(Ordering::Relaxed)",
        LOOM "ring" "letting_go_by_anothers_watermark",
        "PUBLISHED, acquire side, where a slot is taken";
    snapshot_does_not_wait: "src/snapshot.rs",
        "chain.wait_published(chain.written_end())" => "chain.advance_published()",
        LOOM "publish" "a_snapshot_has_what_returned",
        "a snapshot has every record whose append returned";
    // ---- DURABLE
    flush_skips_a_begun_segment: "src/chain/sync.rs",
        "self.catalog.find_from(at)"
        => "self.catalog.find_from(at.next_multiple_of(self.geometry.segment_bytes()))",
        LOOM "sync" "a_publish_during_the_flush_is_not_durable",
        "a sync flushes everything from the durable watermark on";
    target_taken_after_the_flush "quick": "src/chain/durability.rs",
        "flusher.flush(durable, target).map(|()| target)"
        => "flusher.flush(durable, target).and_then(|()| flusher.target())",
        LOOM "sync" "a_publish_during_the_flush_is_not_durable",
        "the target of a sync is taken before its flush";
    durable_store_relaxed "quick": "src/chain/durability.rs",
        "self.durable.store(target, Ordering::Release);" => "self.durable.store(target, Ordering::Relaxed);",
        LOOM "sync" "what_is_durable_is_published",
        "DURABLE, release side";
    wake_lost "quick": "src/chain/durability.rs",
        "        if members > 0 {\n            served.wake_all();" => "        if members > 1 {\n            served.wake_all();",
        LOOM "sync" "one_sync_serves_all_that_it_covers",
        "a sync wakes everybody whom it served";
    one_of_the_group_is_woken: "src/chain/durability.rs",
        "served.wake_all();" => "served.wake_one();",
        LOOM "sync" "one_sync_serves_all_that_it_covers",
        "a sync wakes everybody whom it served";
    gate_stays_shut "quick": "src/chain/durability.rs",
        "        if members > 0 {\n            served.open();\n        }\n" => "",
        LOOM "sync" "one_sync_serves_all_that_it_covers",
        "a sleeper whose ticket is older than the news does not sleep";
    onlookers_sleep_on: "src/chain/durability.rs",
        "        if onlookers > 0 {\n            self.onlookers.wake_all();" => "        if onlookers > 1 {\n            self.onlookers.wake_all();",
        LOOM "sync" "a_waiter_is_woken",
        "a sync wakes those who only wait";
    nobody_leads_the_next "quick": "src/chain/durability.rs",
        "        if heirs > 0 {\n            next.wake_one();" => "        if heirs > 1 {\n            next.wake_one();",
        LOOM "sync" "acknowledged_is_flushed",
        "who carried out a sync wakes one who leads the next";
    heirs_ticket_stays_good: "src/chain/durability.rs",
        "        if heirs > 0 {\n            next.open();\n        }\n" => "",
        LOOM "sync" "acknowledged_is_flushed",
        "a member of the next group that is about to sleep looks whether it leads";
    served_among_the_next "quick": "src/chain/durability.rs",
        "u64::from(position > self.target)" => "u64::from(position >= self.target)",
        LOOM "sync" "one_sync_serves_all_that_it_covers",
        "who is covered by the sync in flight joins its group, and is never woken to lead";
    leader_never_steps_down: "src/chain/durability.rs",
        "state.led = false;" => "let _ = state.led;",
        LOOM "sync" "acknowledged_is_flushed",
        "who carried out a sync lets the next one lead";
    follower_believes_the_leader "quick": "src/chain/durability.rs",
        "            gate.sleep(ticket);\n            // Who was"
        => "            gate.sleep(ticket);\n            return Ok(());\n            // Who was",
        LOOM "sync" "acknowledged_is_flushed",
        "a follower whose record lies above the sync in flight waits for the next";
    durable_load_relaxed: "src/chain/durability.rs",
        "self.durable.load(Ordering::Acquire)" => "self.durable.load(Ordering::Relaxed)",
        LOOM "sync" "what_is_durable_is_published",
        "DURABLE, acquire side";
    // ---- Poison
    poison_forgotten "quick": "src/chain/durability.rs",
        "            if let Some(error) = &state.poison {\n                return Err(error.clone());\n            }\n            if !state.led {"
        => "            if let Some(error) = state.poison.take() {\n                return Err(error);\n            }\n            if !state.led {",
        LOOM "sync" "poison_reaches_everybody",
        "poison stays: everybody gets it";
    poison_wakes_nobody "quick": "src/chain/durability.rs",
        "        drop(state);\n        gates().for_each(Gate::wake_all);" => "        drop(state);",
        LOOM "sync" "poison_wakes_a_sleeper",
        "poison wakes who sleeps";
    poison_leaves_the_gates_shut: "src/chain/durability.rs",
        "        gates().for_each(Gate::open);\n" => "",
        LOOM "sync" "poison_wakes_a_sleeper",
        "poison reaches who is about to sleep";
    poison_wakes_onlookers_alone: "src/chain/durability.rs",
        "self.gates.iter().map(|gate| &**gate).chain([&self.onlookers])" => "self.gates.iter().map(|gate| &**gate).take(0).chain([&self.onlookers])",
        LOOM "sync" "poison_wakes_who_joined",
        "poison wakes the members of every group";
    watermark_moves_after_poison "quick": "src/chain/durability.rs",
        "Ok(target) if state.poison.is_none() => {" => "Ok(target) => {",
        LOOM "sync" "the_watermark_stands_still_after_poison",
        "the durable watermark never moves again after poison";
    poison_leaves_claims_waiting: "src/chain/mod.rs",
        "let closed = self.is_closed().then(|| self.closed_error());" => "let closed: Option<Error> = None;",
        LOOM "sync" "poison_wakes_writers",
        "a poisoned log refuses the claims that wait for a segment";
    // ---- Supply, close
    close_wakes_nobody "quick": "src/chain/supply.rs",
        "        drop(state);\n        self.changed.notify_all();\n        self.wanted.notify_all();\n        end.is_some()"
        => "        drop(state);\n        self.wanted.notify_all();\n        end.is_some()",
        LOOM "close" "close_wakes_writers",
        "closing wakes who waits for room";
    end_not_noted: "src/chain/supply.rs",
        "            state.end = end;" => "            state.end = end.min(0);",
        LOOM "close" "close_against_claims",
        "closing notes where the log ends";
    installed_segment_wakes_nobody: "src/chain/supply.rs",
        "        raise_limit();\n        drop(state);\n        self.changed.notify_all();"
        => "        raise_limit();\n        drop(state);",
        LOOM "claim" "a_writer_without_room_gets_a_segment",
        "a new segment wakes who waits for room";
    failed_attempt_wakes_nobody: "src/chain/supply.rs",
        "        state.failed = Some((attempt, error));\n        drop(state);\n        self.changed.notify_all();"
        => "        state.failed = Some((attempt, error));\n        drop(state);",
        LOOM "claim" "a_straddling_orphan_is_padded_later",
        "a failed preparation wakes who waits for it";
    demand_not_told: "src/chain/supply.rs",
        "                return Err(error.clone());\n            }\n            state.demand = true;\n            self.call();"
        => "                return Err(error.clone());\n            }\n            state.demand = true;",
        LOOM "claim" "a_writer_without_room_gets_a_segment",
        "a writer without room wakes the preparer";
    demand_of_a_claim_not_told: "src/chain/supply.rs",
        "                return Err(error);\n            }\n            state.demand = true;\n            self.call();"
        => "                return Err(error);\n            }\n            state.demand = true;",
        LOOM "claim" "claims_overrun_the_prepared_segments",
        "a claim without a segment wakes the preparer";
    demand_overlooked: "src/chain/supply.rs",
        "if !state.stop && !state.demand && !state.poked {" => "if !state.stop && !state.poked {",
        LOOM "claim" "claims_overrun_the_prepared_segments",
        "the preparer looks for demand before it sleeps";
    tail_ends_early: "src/tail.rs",
        "Look::Nothing if self.position >= end =>" => "Look::Nothing if self.position <= end =>",
        LOOM "close" "a_tail_waits_for_the_last_claim",
        "a tail ends when everything was read";
    // ---- Durability: what is acknowledged is on the disk
    acknowledged_before_the_sync "quick": "src/log/inner.rs",
        "            self.syncer.make_durable(appended.end)?;" => "            let _ = self.syncer.make_durable(0);",
        SIM "sim" "found::what_a_killed_writer_left_unsynced_is_durable_after_the_next_opening",
        "Immediate and Grouped return when the record is durable";
    sync_stops_short "quick": "src/chain/sync.rs",
        "let end = segment.file_offset(target.min(segment.end()));"
        => "let end = segment.file_offset(target.min(segment.end())) & !4095;",
        EXPLORER "explorer" "crash_states_keep_every_promise",
        "a sync covers the page that the watermark lies in";
    sync_of_nothing "quick": "src/syncer.rs",
        "let flushed = segment.body()?.region.flush(range);"
        => "let flushed = segment.body().map(|_| drop(range)).map_err(|_| std::io::Error::other(\"\"));",
        EXPLORER "explorer" "crash_states_keep_every_promise",
        "the watermark moves after a flush";
    old_tail_not_synced_at_a_roll: "src/chain/sync.rs",
        "            if begin < end {" => "            if begin < end && segment.end() > target {",
        EXPLORER "explorer" "crash_states_keep_every_promise",
        "a sync covers the end of the segment before the roll too";
    durable_beyond_the_flush: "src/chain/durability.rs",
        "flusher.flush(durable, target).map(|()| target)"
        => "flusher.flush(durable, target).and_then(|()| flusher.target()).map(|now| now.max(target + 8))",
        EXPLORER "explorer" "crash_states_keep_every_promise",
        "the watermark is what was published before the flush began";
    hint_too_far: "src/syncer.rs",
        "segment.store_durable_hint(durable);" => "segment.store_durable_hint(durable + 64);",
        EXPLORER "explorer" "crash_states_keep_every_promise",
        "the durable hint is never ahead of the disk";
    lag_forgotten: "src/format/frame.rs",
        "let pages = lsn.saturating_sub(durable).div_ceil(LAG_UNIT_BYTES);" => "let pages = lsn.saturating_sub(durable) / LAG_UNIT_BYTES;",
        EXPLORER "explorer" "crash_states_keep_every_promise",
        "a frame never says that more was durable than was";
    poison_not_sticky "quick": "src/syncer.rs",
        "        self.chain.poison(error.clone());\n        error\n" => "        error\n",
        SIM "sim" "sync_errors::the_nth_sync_fails",
        "a failed sync ends the log for good";
    sync_failure_swallowed: "src/syncer.rs",
        "let flushed = segment.body()?.region.flush(range);"
        => "let flushed = segment.body()?.region.flush(range).or(std::io::Result::Ok(()));",
        SIM "sim" "sync_errors::the_nth_sync_fails",
        "a failed sync is told";
    failed_preparation_forgiven: "src/keeper.rs",
        "                if device_failed {" => "                if device_failed && self.chain.is_closed() {",
        SIM "sim" "sync_errors::a_sync_that_fails_while_a_segment_is_made_ready_ends_the_log",
        "any failed sync ends the log, whatever it was to make durable";
    // ---- Files and names
    names_not_synced "quick": "src/storage/prepare.rs",
        "let named = directory.sync_all().map_err(|error| failed(error).at_a_sync());"
        => "let named = Ok::<(), Failure>(drop(directory));",
        EXPLORER "explorer" "crash_states_keep_every_promise",
        "a segment's name is durable before the segment is used";
    recycled_file_not_zeroed "quick": "src/storage/prepare.rs",
        "            Contents::Stale => false," => "            Contents::Stale => true,",
        SIM "sim" "disk::recycled_files_bring_nothing_back",
        "a recycled file holds no records of the segment that it was";
    recycled_cached_file_not_zeroed: "src/storage/prepare.rs",
        "                zero(file, HEADER_BYTES, length, ZEROS_OVER_CACHED).map_err(failed)?;\n" => "",
        SIM "sim" "disk::recycled_files_bring_nothing_back",
        "a file that is used again for large claims holds no records of the segment that it was";
    recycled_mapping_not_cleared: "src/storage/prepare.rs",
        "                region.clear(PAGE..length as usize);\n                kept" => "                kept",
        SIM "sim" "disk::recycled_files_bring_nothing_back",
        "a recycled mapping holds no records of the segment that it was";
    recycled_header_not_synced: "src/storage/prepare.rs",
        "|region| region.flush(0..PAGE)" => "|_| Ok(())",
        SIM "sim" "disk::recycled_files_bring_nothing_back_after_a_power_cut",
        "the header of a recycled segment is durable before it has its name";
    large_record_failure_ignored: "src/append/large.rs",
        "file.write_all_at(payload, at).is_ok()" => "file.write_all_at(payload, at).is_ok() || payload.len() > 1",
        SIM "sim" "large::a_write_that_fails_is_made_up_for",
        "a record whose write through the file fails is copied into the mapping";
    large_batch_not_filled_up: "src/append/large.rs",
        "        self.put(&[0; 8][..filling as usize])" => "        self.put(&[0; 8][..(filling as usize).min(6)])",
        SIM "sim" "large::what_was_acknowledged_survives",
        "frames that are written through the file begin at multiples of eight";
    unused_zeros_not_synced: "src/storage/prepare.rs",
        "                file.sync_data()?;\n" => "",
        SIM "sim" "disk::recycled_files_bring_nothing_back_after_a_power_cut",
        "a spare that another opening finds is zeros on the device";
    prepared_file_not_synced: "src/storage/prepare.rs",
        "map_or_else(|| file.sync_all()," => "map_or_else(|| Ok(()),",
        EXPLORER "explorer" "crash_states_keep_every_promise",
        "a segment is durable as an empty one before it has its name";
    lock_not_taken "quick": "src/storage/lock.rs",
        "if !file.try_lock().map_err(failed)? {" => "if !file.try_lock().map_err(failed)? && text.is_empty() {",
        SIM "sim" "disk::the_lock_is_held_and_dies_with_its_holder",
        "one writer";
    pinned_file_recycled: "src/storage/directory.rs",
        "if matches!(file.try_lock(), Ok(true)) {" => "if file.try_lock().is_ok() {",
        SIM "sim" "disk::a_reader_keeps_a_file_from_being_recycled",
        "a file that a reader has mapped is not recycled";
    retired_before_the_start_is_durable: "src/keeper/retention.rs",
        "        self.update_meta(meta, start)?;\n"
        => "        self.discard(self.chain.catalog.take_before(number))?;\n        self.update_meta(meta, start)?;\n",
        EXPLORER "explorer" "crash_states_keep_every_promise",
        "the log's start is durable before files below it go";
    cursor_in_one_slot "quick": "src/cursors/entry.rs",
        "        let other = 1 - state.slot;" => "        let other = state.slot;",
        SIM "sim" "cursors::the_power_goes_at_every_moment_of_every_commit",
        "a commit never writes over the slot that is on the device";
    cursor_not_settled: "src/cursors/entry.rs",
        "        if state.settled.is_none() {\n" => "        if state.settled.is_none() && state.now.generation == u64::MAX {\n",
        SIM "sim" "cursors::a_kill_takes_nothing_back",
        "what an earlier process left in the page cache is synced before the other slot is written over";
    cursor_sync_forgotten: "src/cursors/entry.rs",
        "        directory.sync_cursor(file, &self.name)?;\n" => "",
        SIM "sim" "cursors::the_power_goes_at_every_moment_of_every_commit",
        "a synced commit is durable";
    cursor_name_not_synced: "src/storage/cursor.rs",
        "        directory.sync_all().map_err(|error| failed(error).at_a_sync())\n" => "        drop(directory);\n        Ok(())\n",
        SIM "sim" "cursors::the_power_goes_at_every_moment_of_every_commit",
        "a cursor that was created is there";
    cursor_without_twin: "src/cursors/entry.rs",
        "        state.spoiled = directory.write_cursor(file, &state.now, 1 - slot).is_err();\n" => "",
        FILES "it" "damaged_cursors::every_damaged_byte_is_survived_or_told",
        "what is synced stands in both slots";
    cursor_failure_forgiven: "src/keeper/retention.rs",
        "        if device_failed {\n            self.poison(&error);\n        }\n        error\n" => "        let _ = device_failed;\n        error\n",
        SIM "sim" "cursor_errors::the_nth_call_fails",
        "any failed sync ends the log, a cursor's too";
    lost_records_not_noted "quick": "src/cursors/mod.rs",
        "                    entry.note_end(directory, end)?;\n" => "",
        SIM "sim" "cursors::a_cursor_that_outlived_its_records_tells",
        "a cursor never stands silently in records that it has not seen";
    gate_by_what_is_not_durable: "src/cursors/entry.rs",
        "self.held_from.store(settled.min(held(&state.now)), Ordering::Relaxed);"
        => "self.held_from.store(held(&state.now), Ordering::Relaxed);",
        SIM "sim" "cursors::what_a_gate_holds_survives_every_cut",
        "a gate holds what its cursor may come back to";
    gate_ignored "quick": "src/keeper/retention.rs",
        "            Ok(Some(holder)) => self.chain.geometry.number(holder.position)," => "            Ok(Some(holder)) => self.chain.geometry.number(holder.position).max(target),",
        FILES "it" "cursors::the_policy_waits_for_gates_and_goes_on_with_their_commits",
        "the policy retires nothing that is gated";
    gate_of_a_damaged_cursor_ignored: "src/cursors/mod.rs",
        "        if let Some((name, error)) = unreadable {" => "        if let Some((name, error)) = unreadable.filter(|_| lag_max.is_none()) {",
        FILES "it" "damaged_cursors::the_policy_waits_for_a_damaged_cursor",
        "a cursor that cannot be read may be a gate";
    held_records_retired: "src/retention.rs",
        "kept.map_or(newest, |kept| kept.min(newest))" => "kept.map_or(newest, |kept| kept.max(newest))",
        FILES "it" "retention::each_limit_is_kept_under_every_policy",
        "what is to be kept stays whatever the limits say";
    age_not_asked: "src/keeper/retention.rs",
        "self.sealed_at(target, look) < young" => "self.sealed_at(target, look) < now",
        SIM "sim" "retention::ages_are_of_the_newest_record_and_survive_restarts",
        "no record goes before it has the age";
    time_noted_again: "src/segment/mod.rs",
        "noted.map_or(mark, |noted| TailMark { sealed_unix_ns: noted.sealed_unix_ns, ..mark })" => "noted.map_or(mark, |_| mark)",
        SIM "sim" "retention::ages_are_of_the_newest_record_and_survive_restarts",
        "a mark that is made again keeps its time";
    full_disk_waits_for_more: "src/keeper/retention.rs",
        "error.kind() == ErrorKind::StorageFull && self.retain(true) => {" => "error.kind() == ErrorKind::StorageFull && self.retain(false) => {",
        SIM "sim" "retention::a_full_device_waits_for_nothing",
        "what the policy lets go makes room before an append fails";
    missed_events_not_counted: "src/event.rs",
        "            self.missed += 1;\n" => "",
        FILES "it" "events::a_full_queue_counts_what_it_misses",
        "who missed events is told how many";
    metadata_in_one_slot: "src/format/meta.rs",
        "if self.generation.is_multiple_of(2) {" => "if self.generation < u64::MAX {",
        EXPLORER "explorer" "crash_states_keep_every_promise",
        "the metadata is never written over the slot in force";
    // ---- Recovery
    killed_writers_names_not_synced "quick": "src/recovery/mod.rs",
        "        directory.sync_names()?;\n" => "",
        SIM "sim" "found::what_a_killed_writer_left_unsynced_is_durable_after_the_next_opening",
        "an opening makes the names durable that it builds on";
    killed_writers_metadata_not_settled: "src/recovery/mod.rs",
        "        directory.settle_meta(&meta).map_err(|failure| failure.error)?;\n" => "",
        SIM "sim" "found::a_killed_writers_start_is_durable_before_the_files_below_it_go",
        "an opening makes the metadata durable that it builds on";
    metadata_slot_not_settled: "src/storage/directory.rs",
        "        if !settled {" => "        if !settled && meta.generation == 0 {",
        SIM "sim" "found::a_slot_of_the_metadata_is_on_the_device_before_the_other_is_written",
        "one slot of the metadata is durable while the other is written";
    any_mark_closes "quick": "src/recovery/mod.rs",
        ".filter(|last| last.header.tail_mark.is_some_and(|mark| mark.durable))"
        => ".filter(|last| last.header.tail_mark.is_some())",
        SIM "sim" "found::a_recovery_that_is_cut_short_leaves_what_the_next_one_finds",
        "only a durable mark says that the log was closed";
    scanned_before_the_sync: "src/recovery/mod.rs",
        "let rewritten = if closed { 0 } else { sync_suspects(directory, &suspects)? };"
        => "let rewritten = 0; let _ = sync_suspects;",
        SIM "sim" "sync_errors::a_write_back_that_failed_unseen_is_caught_at_open",
        "an opening syncs before it scans";
    failed_pages_not_rewritten: "src/recovery/mod.rs",
        "            repair::rewrite(suspect).map_err(|error| {" => "            suspect.open().and_then(|file| file.sync_data()).map_err(|error| {",
        SIM "sim" "sync_errors::a_write_back_that_failed_unseen_is_caught_at_open",
        "pages whose sync failed are written again";
    recovery_not_synced "quick": "src/recovery/repair.rs",
        "    for suspect in suspects.iter().chain(&active).filter(|_| !closed) {"
        => "    for suspect in suspects.iter().chain(&active).filter(|_| closed) {",
        EXPLORER "explorer" "crash_states_keep_every_promise",
        "what recovery keeps is durable before it is reported";
    torn_tail_left "quick": "src/recovery/repair.rs",
        "    if let Some(active) = &active\n        && found.torn.is_some()" => "    if let Some(active) = &active\n        && found.torn.is_some()\n        && closed",
        EXPLORER "explorer" "crash_states_keep_every_promise",
        "a torn tail is zeroed";
    later_segments_left: "src/recovery/repair.rs",
        "suspects.pop_if(|last| last.base() > found.tail)" => "suspects.pop_if(|last| last.base() > found.tail && found.torn.is_none())",
        EXPLORER "explorer" "crash_states_keep_every_promise",
        "segments behind a torn tail go";
    opening_not_durable: "src/recovery/repair.rs",
        "                body.region.flush(0..HEADER_BYTES as usize).map_err(failed(base))?;\n" => "",
        EXPLORER "explorer" "crash_states_keep_every_promise",
        "an opening is recorded durably before it appends";
    hole_padded_after_a_power_cut "quick": "src/recovery/decide.rs",
        "    row(Some(Stop::Hole), NO, NO, ANY, ANY, Verdict::Truncate)," => "    row(Some(Stop::Hole), NO, NO, ANY, ANY, Verdict::Pad),",
        EXPLORER "explorer" "crash_states_keep_every_promise",
        "after a power cut nothing behind a hole is kept";
    hole_cut_after_a_kill: "src/recovery/decide.rs",
        "    row(Some(Stop::Hole), NO, YES, YES, ANY, Verdict::Pad)," => "    row(Some(Stop::Hole), NO, YES, YES, ANY, Verdict::Truncate),",
        EXPLORER "explorer" "crash_states_keep_every_promise",
        "after a kill what returned behind a hole is kept";
    half_a_batch "quick": "src/recovery/survey.rs",
        "let Found::Record(frame) = self.look(index, base + next)? else { return Ok(None) };"
        => "let Found::Record(frame) = self.look(index, base + next)? else { break };",
        EXPLORER "explorer" "crash_states_keep_every_promise",
        "a batch is recovered as a whole";
    evidence_ignored: "src/recovery/survey.rs",
        "below_proven: walk.tail < walk.proven," => "below_proven: false,",
        FILES "corruption" "bits::every_bit_of_a_log",
        "what is proven durable is never cut away";
    // ---- Checksums
    checksum_without_the_opening: "src/format/checksum.rs",
        "    mix(low ^ mix(high ^ mix(nonce)))" => "    mix(low ^ mix(high ^ mix(nonce.min(0))))",
        FILES "corruption" "sectors::every_sector_lost_stale_or_foreign",
        "a frame of an earlier opening does not verify";
    // ---- Everybody at once
    two_writers_get_one_range "quick": "src/chain/mod.rs",
        "let position = self.cursor.fetch_add(bytes, Ordering::Relaxed);"
        => "let position = self.cursor.load(Ordering::Relaxed);\n            self.cursor.store(position + bytes, Ordering::Relaxed);",
        SHUTTLE "scenarios" "everybody_at_once",
        "one atomic addition hands out the log: no range twice";
    segment_comes_unheard: "src/chain/supply.rs",
        "        raise_limit();\n        drop(state);\n        self.changed.notify_all();"
        => "        raise_limit();\n        drop(state);",
        SHUTTLE "scenarios" "everybody_at_once",
        "a new segment wakes who waits for room";
    sync_unheard: "src/chain/durability.rs",
        "        if members > 0 {\n            served.wake_all();" => "        if members > 2 {\n            served.wake_all();",
        SHUTTLE "scenarios" "everybody_at_once",
        "a sync wakes everybody whom it served";
    closed_unheard "quick": "src/chain/supply.rs",
        "        drop(state);\n        self.changed.notify_all();\n        self.wanted.notify_all();\n        end.is_some()"
        => "        drop(state);\n        self.wanted.notify_all();\n        end.is_some()",
        SHUTTLE "scenarios" "closing_in_the_middle",
        "closing wakes who waits for room";
    end_before_the_last_segment: "src/chain/supply.rs",
        "(state.closed && !state.preparing).then(" => "state.closed.then(",
        LOOM "close" "a_tail_waits_for_a_segment_on_its_way",
        "a tail waits for the segment that is being prepared while the log closes";
    prepared_after_the_close: "src/chain/supply.rs",
        "        if state.closed {\n            return None;\n        }\n        state.begun += 1;" => "        state.begun += 1;",
        LOOM "close" "a_tail_waits_for_a_segment_on_its_way",
        "no preparation begins once the log is closed";
    poison_in_two_steps "quick": "src/chain/mod.rs",
        "        self.durability.set_poison(|| {\n            let first = lock(&self.failure).get_or_insert(error).clone();\n            self.close_cursor();\n            first\n        });"
        => "        let first = lock(&self.failure).get_or_insert(error).clone();\n        self.close_cursor();\n        self.durability.set_poison(|| first);",
        LOOM "sync" "the_watermark_stands_still_once_an_append_is_refused",
        "the durable watermark stands still when the first append is refused";
    watermark_moves_after_the_failure: "src/chain/durability.rs",
        "Ok(target) if state.poison.is_none() => {" => "Ok(target) => {",
        SHUTTLE "scenarios" "a_failing_sync",
        "the durable watermark never moves again after poison";
    left_claim_forgotten "quick": "src/chain/supply.rs",
        "state.orphans.push((position, bytes));" => "let _ = (position, bytes);",
        SHUTTLE "scenarios" "no_room_for_a_while",
        "a claim whose segment did not come is left to the preparer";
    admitted_before_the_end_is_raised "quick": "src/chain/supply.rs",
        "        let mut state = lock(&self.state);\n        admit();" => "        admit();\n        let mut state = lock(&self.state);",
        LOOM "claim" "a_sync_covers_a_claim_in_a_new_segment",
        "a segment is in use for all who ask for the end, or for nobody";
    slot_taken_from_an_open_claim "quick": "src/chain/mod.rs",
        "(number - slots + 1) * self.geometry.segment_bytes()" => "(number - slots) * self.geometry.segment_bytes()",
        SHUTTLE "scenarios" "a_claim_stays_open",
        "a slot is free when every claim of its segment is published";
    // ---- Processes and threads that go
    child_not_noticed "quick": "src/region/home.rs",
        "if guarded { page() } else { None }" => "if guarded && false { page() } else { None }",
        FILES "faults" "fork::children_change_nothing_while_their_parent_appends",
        "a forked child appends nothing";
    child_closes_the_log: "src/log/inner.rs",
        "        self.chain.refuse_in_child()?;\n        if let Some(outcome) = &*lock(&self.closed) {" => "        if let Some(outcome) = &*lock(&self.closed) {",
        FILES "faults" "fork::a_child_that_drops_the_log_does_not_close_it",
        "a forked child does not end its parent's log";
    child_keeps_the_lock: "src/log/inner.rs",
        "        self.directory.abandon();\n" => "",
        FILES "faults" "fork::a_child_that_dropped_the_log_does_not_keep_it_locked",
        "a forked child that has dropped the log does not keep it locked";
    // ---- WAKE
    wake_light_side_dropped "quick": "src/signal.rs",
        "        barrier::light();\n" => "",
        LOOM "wake" "an_append_wakes_a_follower",
        "WAKE, light side: a claim ends before its writer looks whether anybody sleeps";
    wake_heavy_side_dropped "quick": "src/signal.rs",
        "if !barrier::heavy() {" => "if false {",
        LOOM "wake" "an_append_wakes_a_follower",
        "WAKE, heavy side: a sleeper says so before it looks at the log";
    wake_look_before_registering "quick": "src/tail.rs",
        "                    let look = self.look();\n                    if !matches!(look, Ok(Look::Nothing)) {"
        => "                    let look: Result<Look> = Ok(Look::Nothing);\n                    if !matches!(look, Ok(Look::Nothing)) {",
        LOOM "wake" "an_append_wakes_a_follower",
        "a follower looks once more when it has said that it sleeps";
    wake_watcher_looks_before_registering: "src/watcher.rs",
        "            let look = self.look();\n            if !matches!(look, Ok(None)) {"
        => "            let look: Result<Option<Lsn>> = Ok(None);\n            if !matches!(look, Ok(None)) {",
        LOOM "wake" "a_watcher_sees_the_log_grow_and_end",
        "a watcher looks once more when it has said that it sleeps";
    wake_task_looks_before_registering: "src/tail.rs",
        "        match self.look() {\n            Ok(Look::Nothing) => Poll::Pending,"
        => "        match Ok::<Look, Error>(Look::Nothing) {\n            Ok(Look::Nothing) => Poll::Pending,",
        LOOM "wake" "an_append_wakes_a_task",
        "a task looks once more when its waker is registered";
    wake_forgotten_by_publish "quick": "src/segment/claim.rs",
        "core::mem::forget(self);\n        signal.tell();" => "core::mem::forget(self);\n        let _ = signal;",
        LOOM "wake" "the_claim_before_wakes_a_follower",
        "every published claim wakes who sleeps";
    wake_forgotten_by_abort: "src/segment/claim.rs",
        "    window.store_release(word);\n    signal.tell();" => "    window.store_release(word);\n    let _ = signal;",
        LOOM "wake" "padding_wakes_a_follower",
        "every claim that becomes padding wakes who sleeps";
    wake_word_set_before_the_list: "src/signal.rs",
        "        let mut sleepers = lock(&self.sleepers);\n        let old = bed.take().and_then(|bed| sleepers.remove(bed));\n        *bed = Some(sleepers.add(beyond, waker));\n        // Under the lock, so that who clears the word finds the sleeper in the list. Relaxed: the barrier orders it.\n        self.awaited.store(1, Ordering::Relaxed);\n"
        => "        self.awaited.store(1, Ordering::Relaxed);\n        let mut sleepers = lock(&self.sleepers);\n        let old = bed.take().and_then(|bed| sleepers.remove(bed));\n        *bed = Some(sleepers.add(beyond, waker));\n",
        LOOM "wake" "the_claim_before_wakes_a_follower",
        "who clears the word finds the sleeper in the list";
    wake_word_cleared_late: "src/signal.rs",
        "        if self.awaited.swap(0, Ordering::Relaxed) != 0 {\n            self.tell_everybody();\n        }"
        => "        self.tell_everybody();\n        self.awaited.store(0, Ordering::Relaxed);",
        LOOM "wake" "each_append_wakes_a_follower",
        "the word is cleared before the sleepers are taken: who comes later sets it again";
    wake_of_one_only: "src/signal.rs",
        "            self.0 = rest.into_inner();" => "            let _ = rest.into_inner();",
        LOOM "wake" "one_append_wakes_all_followers",
        "a wake-up is for all who sleep";
    wake_lost_by_a_panic: "src/signal.rs",
        "            let rest = Self(core::mem::take(&mut self.0));\n            waker.wake();\n            self.0 = rest.into_inner();"
        => "            let rest = core::mem::take(&mut self.0);\n            waker.wake();\n            self.0 = rest;",
        FILES "it" "follow::a_waker_that_panics_keeps_nobody_asleep",
        "a waker that panics keeps nobody asleep";
    wake_by_syncs_lost "quick": "src/chain/durability.rs",
        "let woken = state.sleepers.take_reached(reached);" => "let woken = state.sleepers.take_reached(reached / 2);",
        LOOM "wake" "a_sync_wakes_a_follower_of_durable_records",
        "a sync wakes who waits for what it made durable";
    wake_by_syncs_of_all: "src/chain/durability.rs",
        "let woken = state.sleepers.take_reached(reached);" => "let _ = reached;\n        let woken = Some(state.sleepers.take_all());",
        FILES "it" "follow::a_task_is_woken_once_for_each_time_that_it_was_pending",
        "a sync wakes only those whom it reaches";
    wake_by_poison_lost "quick": "src/chain/mod.rs",
        "            first\n        });\n        self.grown.tell_everybody();" => "            first\n        });",
        LOOM "wake" "poison_wakes_followers",
        "poison wakes who waits for the log to grow";
    wake_by_poison_lost_for_durable_records: "src/chain/durability.rs",
        "        let woken = state.sleepers.take_all();\n        drop(state);" => "        let woken = Sleepers::default().take_all();\n        drop(state);",
        LOOM "wake" "poison_wakes_followers",
        "poison wakes who waits for what will not become durable";
    wake_by_close_lost "quick": "src/chain/mod.rs",
        "        let first = self.close_cursor();\n        self.tell_everybody();" => "        let first = self.close_cursor();",
        LOOM "wake" "a_close_wakes_everybody",
        "closing wakes who sleeps";
    wake_by_the_last_segment_lost: "src/chain/mod.rs",
        "        if self.is_closed() {\n            self.tell_everybody();" => "        if self.is_closed() {",
        LOOM "wake" "the_last_segment_wakes_a_follower",
        "who sleeps learns where the log ended, also where a segment was on its way";
    wake_by_retirement_lost: "src/keeper/retention.rs",
        "        let outcome = self.retire_by_hand(lsn);\n        // Who waits for records that are gone. Whatever came of it: they may be gone although a file is not.\n        self.chain.tell_everybody();"
        => "        let outcome = self.retire_by_hand(lsn);",
        FILES "it" "follow::a_follower_of_durable_records_is_woken_by_retirement",
        "a follower of durable records learns that they are retired";
    wake_without_the_barrier_forgotten: "src/keeper.rs",
        "        self.chain.tell_overlooked();\n" => "",
        FILES "faults" "follow::tasks_are_woken_without_membarrier",
        "where there is no barrier, a task that was overlooked is woken by the keeper";
    wake_of_the_dropped: "src/chain/sleeper.rs",
        "    fn drop(&mut self) {\n        self.leave();" => "    fn drop(&mut self) {",
        FILES "it" "follow::a_task_is_woken_once_for_each_time_that_it_was_pending",
        "who is gone is not woken";
    // ---- ERRAND: tasks
    errand_thread_not_called "quick": "src/chain/durability/tasks.rs",
        "        if called {\n            self.errands.wake_one();\n        }" => "        let _ = called;",
        LOOM "tasks" "a_task_is_served_by_the_deputy",
        "a task wakes the thread that syncs for tasks";
    errand_gate_stays_shut: "src/chain/durability/tasks.rs",
        "            if called {\n                self.errands.open();\n            }\n" => "",
        LOOM "tasks" "a_task_is_served_by_the_deputy",
        "the thread that is about to sleep sees the task that came meanwhile";
    errand_sleep_not_said: "src/chain/durability/tasks.rs",
        "            state.deputy_sleeps = true;\n" => "",
        LOOM "tasks" "a_task_is_served_by_the_deputy",
        "the thread says that it sleeps, or nobody wakes it";
    errand_of_the_nearest_only: "src/chain/durability/tasks.rs",
        "return Some(beyond + 1);" => "return Some(beyond);",
        LOOM "tasks" "a_task_is_served_by_the_deputy",
        "the thread waits until the task's frame is durable, not only what lies before it";
    errand_looked_at_without_the_lock "quick": "src/chain/durability/tasks.rs",
        "        let outcome = if self.durable() > beyond {\n            Poll::Ready(Ok(()))\n        } else if let Some"
        => "        let outcome = if let Some",
        LOOM "tasks" "a_sync_of_another_serves_a_task",
        "a task looks at the watermark under the lock under which it registers";
    errand_ignores_poison: "src/chain/durability/tasks.rs",
        "} else if let Some(error) = &state.poison {" => "} else if let Some(error) = &state.poison.take() {",
        LOOM "tasks" "poison_wakes_a_task",
        "poison stays: every task gets it";
    errand_served_wakes_nobody "quick": "src/chain/durability.rs",
        "        if let Some(tasks) = tasks {\n            tasks.wake();\n        }" => "        core::mem::forget(tasks);",
        LOOM "tasks" "a_task_is_served_by_the_deputy",
        "a sync wakes the tasks that it served";
    errand_poison_wakes_no_task: "src/chain/durability.rs",
        "        let tasks = state.tasks.take_all();\n        let woken" => "        let tasks = Sleepers::default().take_all();\n        let woken",
        LOOM "tasks" "poison_wakes_a_task",
        "poison wakes tasks";
    errand_never_dismissed: "src/chain/durability/tasks.rs",
        "        state.deputy_dismissed = true;\n        self.errands.open();\n        drop(state);\n        self.errands.wake_one();"
        => "        state.deputy_dismissed = true;\n        self.errands.open();\n        drop(state);",
        LOOM "tasks" "a_task_is_served_by_the_deputy",
        "the thread that syncs for tasks ends when it is told to";
    room_wakes_no_task "quick": "src/chain/supply.rs",
        "        let tasks = state.tasks.take_all();\n        raise_limit();" => "        let tasks = Sleepers::default().take_all();\n        raise_limit();",
        LOOM "tasks" "a_segment_wakes_a_task",
        "a new segment wakes the tasks that wait for room";
    room_failure_wakes_no_task: "src/chain/supply.rs",
        "        let tasks = state.tasks.take_all();\n        state.failed" => "        let tasks = Sleepers::default().take_all();\n        state.failed",
        LOOM "tasks" "a_failed_preparation_wakes_a_task",
        "a failed preparation wakes the tasks that wait for it";
    room_end_wakes_no_task: "src/chain/supply/tasks.rs",
        "        let tasks = lock(&self.state).tasks.take_all();\n        tasks.wake();" => "        let _ = lock(&self.state);",
        LOOM "tasks" "the_end_wakes_a_task_without_room",
        "closing, and poison, wake the tasks that wait for room";
    room_not_asked_for: "src/chain/supply/tasks.rs",
        "            turn.bed = Some(state.tasks.add(0, waker));\n            self.call();" => "            turn.bed = Some(state.tasks.add(0, waker));",
        LOOM "tasks" "a_failed_preparation_wakes_a_task",
        "a task without room wakes the preparer";
    try_waits: "src/chain/mod.rs",
        "let closed = closed.or_else(|| (patient == Patient::No).then(Error::would_block));" => "let _ = patient;",
        LOOM "tasks" "a_task_never_waits_for_its_segment",
        "a task's claim that overran is given up, not waited for";
    durable_tail_gives_what_is_published "quick": "src/tail.rs",
        "if progress == Progress::Durable { 0 } else { u64::MAX }" => "u64::MAX",
        LOOM "wake" "a_sync_wakes_a_follower_of_durable_records",
        "a follower of durable records gets none before it is durable";
    // ---- Readers in other processes
    elsewhere_asks_in_silence "quick": "src/chain/page.rs",
        "        let number = self.words.count_up(ASKED);\n        self.words.wake(ASKED);" => "        let number = self.words.count_up(ASKED);",
        LOOM "elsewhere" "an_append_wakes_a_reader_elsewhere",
        "who asks wakes who answers";
    elsewhere_number_before_position "quick": "src/chain/page.rs",
        "        self.words.lower_to(place_of(progress), position);\n        let number = self.words.count_up(ASKED);\n"
        => "        let number = self.words.count_up(ASKED);\n        self.words.lower_to(place_of(progress), position);\n",
        LOOM "elsewhere" "an_append_wakes_a_reader_elsewhere",
        "ASK: who sees the question's number sees where its reader waits";
    elsewhere_told_without_a_count: "src/chain/page.rs",
        "        self.words.count_up(TOLD);\n" => "",
        LOOM "elsewhere" "an_append_wakes_a_reader_elsewhere",
        "TELL: what is told ends the sleep of who is about to fall asleep";
    elsewhere_told_in_silence: "src/chain/page.rs",
        "        self.words.wake(TOLD);" => "",
        LOOM "elsewhere" "an_append_wakes_a_reader_elsewhere",
        "what is told wakes who sleeps";
    elsewhere_ticket_after_the_question "quick": "src/chain/caller.rs",
        "        page.sleep(ticket, most);" => "        page.sleep(page.ticket(), most);",
        LOOM "elsewhere" "an_append_wakes_a_reader_elsewhere",
        "the ticket is drawn before the question";
    elsewhere_answered_without_a_look "quick": "src/chain/desk.rs",
        "            passed |= chain.advance_published().map_or(true, |published| published.position() > lowest);\n" => "",
        LOOM "elsewhere" "an_append_wakes_a_reader_elsewhere",
        "who answers looks once more when it has lain down";
    elsewhere_looks_before_lying_down: "src/chain/desk.rs",
        "            chain.grown.register(&mut self.published, lowest, waker);\n            // What came before that woke nobody.\n            passed |= chain.advance_published().map_or(true, |published| published.position() > lowest);\n"
        => "            passed |= chain.advance_published().map_or(true, |published| published.position() > lowest);\n            chain.grown.register(&mut self.published, lowest, waker);\n",
        LOOM "elsewhere" "an_append_wakes_a_reader_elsewhere",
        "who answers lies down before it looks";
    elsewhere_durable_answered_without_a_look: "src/chain/desk.rs",
        "            passed |= chain.durability.durable() > lowest || chain.catalog.start() > lowest;\n" => "",
        LOOM "elsewhere" "a_sync_wakes_a_reader_elsewhere",
        "who answers looks how far the log is durable when it has lain down";
    elsewhere_durable_not_noted: "src/chain/durability.rs",
        "                    page.store_durable(target);" => "                    let _ = page;",
        LOOM "elsewhere" "a_sync_wakes_a_reader_elsewhere",
        "each sync notes how far the log is durable";
    // ---- Partitions
    partition_dropped_without_a_sync "quick": "src/partitions/root.rs",
        "    if let Err(error) = directory.sync() {" => "    if let Err(error) = Ok::<(), Error>(()) {",
        SIM "partitions" "power::a_drop_is_whole_under_any_power_cut",
        "a partition is gone durably before the first of its files is";
    partition_in_use_is_closed: "src/log/background.rs",
        "std::sync::Arc::strong_count(&self.inner) == 1" => "std::sync::Arc::strong_count(&self.inner) >= 1",
        FILES "partitions" "limits::a_limit_that_is_reached_by_those_in_use_is_an_error_of_the_next",
        "a partition that somebody holds is not closed for another";
    partition_in_use_last_is_closed: "src/partitions/table.rs",
        "        let (_, id) = idle.min()?;" => "        let (_, id) = idle.max()?;",
        FILES "partitions" "limits::the_one_that_was_asked_for_longest_ago_is_closed_if_nobody_holds_it",
        "the partition that was asked for longest ago goes first";
    partition_lost_in_silence: "src/partitions/inner.rs",
        "            table.lost.get_or_insert(error);" => "            let _ = error;",
        FILES "partitions" "isolation::one_that_is_poisoned_fails_alone_and_is_recovered_when_it_is_let_go",
        "what a closing to make room could not make durable is told by the next sync";
    task_of_a_partition_is_not_called: "src/future/durable.rs",
        "            self.deputy.nudge();" => "",
        FILES "partitions" "threads::tasks_of_many_partitions_are_served",
        "a task that has registered calls the thread that syncs for it";
    // ---- Repairs
    repair_copy_not_synced "quick": "src/repair/segment.rs",
        "        file.sync_all()\n" => "        Ok(())\n",
        SIM "sim" "repair::the_power_goes_or_the_process_dies_at_every_moment",
        "a corrected copy is on the device before it takes the original's name";
    repair_leaves_what_stays_unsynced: "src/repair/carry_out.rs",
        "let synced = opened.and_then(|file| file.sync_data());" => "let synced = opened.map(|_| ());",
        SIM "sim" "repair::what_stays_is_made_durable",
        "what stays is on the device before a mark says so";
    repair_keeps_no_original: "src/repair/carry_out.rs",
        "            keep(directory, path, &quarantine)?;" => "            let _ = (path, &quarantine);",
        FILES "repair" "damages::several_places_at_once_and_zeros",
        "the original of what changes is kept";
    repair_links_the_metadata: "src/repair/carry_out.rs",
        "if name == name::META {" => "if name == name::SIGNAL {",
        FILES "repair" "to::the_log_ends_before_the_record_at_or_behind",
        "what is written in place is copied";
    repair_forgets_marks: "src/repair/reads.rs",
        "        reach = reach.max(mark.map_or(0, |mark| mark.end)).max(hint.unwrap_or(0));" => "        let _ = (mark, hint);",
        FILES "repair" "damages::what_was_durable_and_is_zeros_now_is_not_given_again",
        "no LSN is given again that a mark says was written";
    repair_keeps_half_a_batch: "src/repair/walk.rs",
        "frames.open_batch().map_or(position, |lsn| lsn.get().saturating_sub(base))" => "position",
        FILES "repair" "damages::flipped_bits",
        "a batch that is not whole is lost from its first record on";
    repair_asks_no_neighbour: "src/repair/reads.rs",
        "own.iter().chain(before.iter().rev()).chain(behind.iter().flatten())" => "own.iter().chain(before.iter().take(0)).chain(behind.iter().flatten().take(0))",
        FILES "repair" "damages::damaged_headers_cost_no_record",
        "a segment without a header is read by its neighbours' openings";
    repair_keeps_the_promise_of_the_cut: "src/repair/draft.rs",
        "            self.meta.proven = self.end;\n            self.writes_meta = true;" => "",
        FILES "repair" "to::the_log_ends_before_the_record_at_or_behind",
        "metadata do not promise what was cut away";
    // ---- Rebuilding
    rebuilt_segment_not_synced: "src/rebuild/segment.rs",
        "self.file.write_all_at(page.as_slice(), 0).and_then(|()| self.file.sync_all())" =>
        "self.file.write_all_at(page.as_slice(), 0)",
        SIM "sim" "rebuild::the_power_goes_at_every_moment",
        "a rebuilt segment is durable before the metadata is there";
    rebuilt_names_not_synced: "src/rebuild/mod.rs",
        "        self.directory.sync()?;\n        for cursor" => "        for cursor",
        SIM "sim" "rebuild::the_power_goes_at_every_moment",
        "the names of rebuilt segments are durable before the metadata is there";
    rebuilt_batch_without_way_back: "src/rebuild/place.rs",
        "frame::way_back(self.position.saturating_sub(lsn))" => "frame::way_back(0)",
        FILES "it" "rebuild::frames_are_those_of_a_writer",
        "a later record of a rebuilt batch tells its way back";
}
