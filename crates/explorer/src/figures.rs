//! What was done and seen, for people, and as a proof that nothing was asleep.

use std::fmt;

use tidelog::SyncPolicy;

macro_rules! figures {
    ($($field:ident: $what:literal,)*) => {
        /// Counters of one or of many runs.
        #[derive(Clone, Debug, Default)]
        pub struct Figures {
            $(pub $field: u64,)*
        }

        impl Figures {
            pub fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }

            /// What never happened.
            #[must_use]
            pub fn asleep(&self) -> Vec<&'static str> {
                let mut asleep = Vec::new();
                $(if self.$field == 0 { asleep.push($what); })*
                asleep
            }
        }

        impl fmt::Display for Figures {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "  {:>12}  {}", self.$field, $what)?;)*
                Ok(())
            }
        }
    };
}

figures! {
    runs: "runs",
    lives: "lives of a log: each after a crash of the one before",
    openings: "openings",
    none: "of them under None",
    immediate: "under Immediate",
    grouped: "under Grouped",
    periodic: "under Periodic",
    rolls: "rolls",
    retired: "retirements",
    recycled: "segments made of recycled files",
    parked: "claims parked in the middle",
    aborts: "claims that became padding",
    full: "appends refused by a full device",
    moments: "moments of crash",
    states_cut: "disks after a power cut, all different",
    states_kill: "disks after a kill",
    depth_1: "of these after one crash",
    depth_2: "after two",
    depth_3: "after three",
    in_recovery: "crashed inside a recovery",
    torn_512: "torn into sectors",
    torn_8: "torn into words",
    entries_lost: "with changes of the directory lost",
    repeated: "disks that were seen before, and not counted",
    records: "records verified",
    dropped: "units lost that were not durable",
    torn_tails: "torn tails cut away",
    holes: "holes padded",
    no_log: "crashes before the log was created",
}

impl Figures {
    /// All disks that were recovered and judged.
    #[must_use]
    pub fn states(&self) -> u64 {
        self.states_cut + self.states_kill
    }

    pub fn note_policy(&mut self, policy: SyncPolicy) {
        match policy {
            SyncPolicy::None => self.none += 1,
            SyncPolicy::Immediate => self.immediate += 1,
            SyncPolicy::Grouped { .. } => self.grouped += 1,
            SyncPolicy::Periodic { .. } => self.periodic += 1,
        }
    }
}
