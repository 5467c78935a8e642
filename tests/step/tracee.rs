//! A process whose threads run one instruction at a time, or not at all.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::child::MARKER;
use crate::support::{Leash, PATIENCE, myself};

/// `futex`, the call in which the keeper sleeps.
const FUTEX: u64 = 202;
/// The instruction that enters the kernel.
const SYSCALL: i64 = 0x050f;
/// What the kernel puts into the result of a call that it begins again: `-ERESTARTSYS` and the like.
const RESTARTS: std::ops::RangeInclusive<i64> = -516..=-512;
/// No scenario takes as long.
const SCENARIO_PATIENCE: Duration = Duration::from_secs(240);

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stepped {
    Instruction,
    /// The thread raised its signal.
    Marker,
    /// It waits for another thread, inside the kernel.
    Waiting,
}

/// The child, held at every moment but those in which it is asked to run.
#[derive(Debug)]
pub(crate) struct Tracee {
    /// The thread that performs the script.
    pub(crate) script: Pid,
    pub(crate) keeper: Pid,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    _watchdog: mpsc::Sender<()>,
    leash: Leash,
}

/// Why nothing can be stepped here; `None` where it can.
pub(crate) fn lacks_ptrace() -> Option<String> {
    let mut child = Leash(std::process::Command::new("sleep").arg("60").spawn().ok()?);
    let pid = Pid::from_raw(child.0.id().cast_signed());
    let seized = ptrace::seize(pid, ptrace::Options::empty());
    let _ = child.0.kill();
    seized.err().map(|error| format!("ptrace: {error}"))
}

impl Tracee {
    /// Starts `test` in `role`, and takes hold of its threads. The script's thread runs on to its first marker.
    pub(crate) fn start(test: &str, role: &str) -> Self {
        let mut command = myself(test, role);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut leash = Leash(child);
        let process = Pid::from_raw(leash.0.id().cast_signed());
        let mut stdout = BufReader::new(leash.0.stdout.take().unwrap());
        let mut line = String::new();
        let mut script = None;
        while line != "ready\n" {
            line.clear();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "{role}: the child is never ready");
            script = script.or_else(|| line.strip_prefix("thread ")?.trim().parse().ok().map(Pid::from_raw));
        }
        let script = script.expect("the child tells its thread");
        let keeper = find_keeper(process);
        for thread in [script, keeper] {
            ptrace::seize(thread, ptrace::Options::PTRACE_O_EXITKILL).unwrap();
        }
        let (watchdog, dropped) = mpsc::channel();
        std::thread::spawn(move || {
            if dropped.recv_timeout(SCENARIO_PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = kill(process, Signal::SIGKILL);
            }
        });
        let mut stdin = leash.0.stdin.take().unwrap();
        stdin.write_all(b"go\n").unwrap();
        Self { script, keeper, stdin, stdout, _watchdog: watchdog, leash }
    }

    pub(crate) fn write_line(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    pub(crate) fn read_line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.stdout.read_line(&mut line).unwrap() > 0, "the child is silent");
        line
    }

    /// Waits until the script's thread raises its signal.
    pub(crate) fn wait_marker(&self) {
        assert_eq!(wait(self.script), Stepped::Marker);
    }

    pub(crate) fn run(&self, thread: Pid) {
        ptrace::cont(thread, None).unwrap();
    }

    /// Holds the keeper at a moment when it sleeps and has nothing in its hands.
    pub(crate) fn hold_keeper(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            ptrace::interrupt(self.keeper).unwrap();
            let mut status = waitpid(self.keeper, Some(WaitPidFlag::__WALL)).unwrap();
            if matches!(status, WaitStatus::Stopped(_, Signal::SIGTRAP)) {
                // The end of a step that was left waiting came first; the interruption is still to come.
                self.run(self.keeper);
                status = waitpid(self.keeper, Some(WaitPidFlag::__WALL)).unwrap();
            }
            assert!(matches!(status, WaitStatus::PtraceEvent(..)), "the keeper: {status:?}");
            let registers = ptrace::getregs(self.keeper).unwrap();
            if registers.orig_rax == FUTEX && RESTARTS.contains(&registers.rax.cast_signed()) {
                return;
            }
            assert!(Instant::now() < deadline, "the keeper never sleeps");
            self.run(self.keeper);
            std::thread::sleep(Duration::from_micros(300));
        }
    }

    /// Where the script's thread is.
    pub(crate) fn instruction_pointer(&self) -> u64 {
        ptrace::getregs(self.script).unwrap().rip
    }

    /// One instruction of `thread`, which does not wait for any other.
    pub(crate) fn step(&self, thread: Pid) -> Stepped {
        ptrace::step(thread, None).unwrap();
        wait(thread)
    }

    /// One instruction of `thread`; a call that may wait for another thread is left alone after a while.
    pub(crate) fn step_or_leave(&self, thread: Pid) -> Stepped {
        let registers = ptrace::getregs(thread).unwrap();
        let instruction = ptrace::read(thread, registers.rip as ptrace::AddressType).unwrap();
        let may_wait = instruction & 0xffff == SYSCALL
            && (registers.rax == FUTEX || RESTARTS.contains(&registers.rax.cast_signed()));
        if !may_wait {
            return self.step(thread);
        }
        ptrace::step(thread, None).unwrap();
        for _ in 0..20 {
            let stepped = self.look(thread);
            if stepped != Stepped::Waiting {
                return stepped;
            }
            std::thread::sleep(Duration::from_micros(20));
        }
        Stepped::Waiting
    }

    /// Whether a thread that was left waiting has come to the end of its step.
    pub(crate) fn look(&self, thread: Pid) -> Stepped {
        let status = waitpid(thread, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)).unwrap();
        if status == WaitStatus::StillAlive { Stepped::Waiting } else { read(status) }
    }
}

/// The thread of that name; it gives itself the name when it has begun.
fn find_keeper(process: Pid) -> Pid {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        for task in std::fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten() {
            let name = std::fs::read_to_string(task.path().join("comm"));
            if name.is_ok_and(|name| name == "tidelog-keeper\n") {
                return Pid::from_raw(task.file_name().to_str().unwrap().parse().unwrap());
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("the log has no keeper");
}

impl Drop for Tracee {
    fn drop(&mut self) {
        let _ = self.leash.0.kill();
        // A traced thread is gone when its tracer has seen it go, and the process when all its threads are.
        for thread in [self.keeper, self.script] {
            while waitpid(thread, Some(WaitPidFlag::__WALL))
                .is_ok_and(|status| !matches!(status, WaitStatus::Exited(..) | WaitStatus::Signaled(..)))
            {
            }
        }
    }
}

fn wait(thread: Pid) -> Stepped {
    read(waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap())
}

fn read(status: WaitStatus) -> Stepped {
    match status {
        WaitStatus::Stopped(_, Signal::SIGTRAP) => Stepped::Instruction,
        WaitStatus::Stopped(_, signal) if signal == MARKER => Stepped::Marker,
        other => panic!("the stepped thread: {other:?}"),
    }
}
