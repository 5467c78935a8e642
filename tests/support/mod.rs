//! What the fault tests share: a random source, children that are run with a time limit, and records whose
//! contents follow from who wrote them.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The role that a re-executed test binary plays; absent in the test process itself.
pub(crate) const ROLE: &str = "TIDELOG_TEST_ROLE";

/// No child needs as long; one that does hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// `splitmix64`.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// The seed of this run: `TIDELOG_SEED`, or another one each time. Printed, so that a failure can be run again.
pub(crate) fn seed(test: &str) -> u64 {
    let seed = std::env::var("TIDELOG_SEED").ok().map(|text| text.parse().expect("TIDELOG_SEED is a number"));
    let seed = seed.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64 ^ (u64::from(std::process::id()) << 32)
    });
    println!("{test}: TIDELOG_SEED={seed}");
    seed
}

/// A record's payload, told by its number alone. Eight bytes or more begin with the number.
pub(crate) fn payload(id: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(id);
    let mut bytes = id.to_le_bytes().to_vec();
    while bytes.len() < len {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// True when the test must not run here; says why. Where `TIDELOG_NO_SKIP=1` that is a failure.
pub(crate) fn skip(test: &str, missing: Option<String>) -> bool {
    let Some(missing) = missing else { return false };
    assert!(
        std::env::var("TIDELOG_NO_SKIP").as_deref() != Ok("1"),
        "{test} cannot run, and TIDELOG_NO_SKIP=1: {missing}"
    );
    println!("{test}: SKIPPED: {missing}");
    true
}

/// Why `program` cannot be run; `None` where it can.
pub(crate) fn lacks(program: &str, arguments: &[&str]) -> Option<String> {
    match Command::new(program).args(arguments).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            Some(format!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
        }
        Err(error) => Some(format!("{program} does not start: {error}")),
    }
}

/// The role that this process plays, where it is a child.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// This test binary again, running the one test `test` in `role`.
pub(crate) fn myself(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    as_role(&mut command, test, role);
    command
}

fn as_role(command: &mut Command, test: &str, role: &str) {
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role).env("RUST_BACKTRACE", "0").stdin(Stdio::null());
}

/// Runs `command` to its end. One that takes longer than `PATIENCE` is killed, which fails the test.
pub(crate) fn finish(mut command: Command) -> Output {
    use std::os::unix::process::CommandExt;
    // A group of its own, so that a tracer goes together with what it traces.
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("the child starts");
    let stdout = drain(child.stdout.take().unwrap());
    let stderr = drain(child.stderr.take().unwrap());
    let status = wait(&mut child, PATIENCE);
    if status.is_none() {
        kill_group(&mut child);
    }
    let output = |receiver: mpsc::Receiver<Vec<u8>>| receiver.recv_timeout(PATIENCE).unwrap_or_default();
    let (stdout, stderr) = (output(stdout), output(stderr));
    let Some(status) = status else {
        panic!(
            "{command:?} hangs\n--- stdout\n{}\n--- stderr\n{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        );
    };
    Output { status, stdout, stderr }
}

/// Runs `command` to its end and demands success. Returns what it wrote to stdout.
pub(crate) fn succeed(command: Command) -> String {
    let text = format!("{command:?}");
    let output = finish(command);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}: {}\n--- stdout\n{stdout}\n--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}

fn drain(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}

/// Waits for the end of `child`, for at most `patience`.
pub(crate) fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn kill_group(child: &mut Child) {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
    let _ = child.kill();
    let _ = child.wait();
}

/// Kills the child when the test ends in any way.
#[derive(Debug)]
pub(crate) struct Leash(pub(crate) Child);

impl Drop for Leash {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory in memory where there is one: for what does not depend on the device.
pub(crate) fn quick_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// The names in a directory, for messages.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

// ---- Under strace ------------------------------------------------------------------------------------

/// Why nothing can be traced here; `None` where it can.
pub(crate) fn lacks_strace() -> Option<String> {
    lacks("strace", &["-f", "-o", "/dev/null", "-e", "inject=msync:error=EIO:when=1", "true"])
}

/// In a child: everything is set up, tracing may begin. Returns when it has.
pub(crate) fn ready_to_be_traced() {
    println!("\nready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    assert_eq!(line, "go\n");
}

/// A traced child's end.
#[derive(Debug)]
pub(crate) struct Traced {
    pub(crate) output: Output,
    /// What strace wrote: a line for each system call, with the thread's number first.
    pub(crate) trace: String,
}

impl Traced {
    /// Demands that the child succeeded; returns its stdout.
    pub(crate) fn succeeded(&self) -> String {
        let stdout = String::from_utf8_lossy(&self.output.stdout).into_owned();
        assert!(
            self.output.status.success(),
            "{}\n--- stdout\n{stdout}\n--- stderr\n{}\n--- end of trace\n{}",
            self.output.status,
            String::from_utf8_lossy(&self.output.stderr),
            self.trace.lines().rev().take(60).collect::<Vec<_>>().join("\n")
        );
        stdout
    }
}

/// Runs this binary's test `test` in `role`, under strace with `arguments` from where the child says that it is
/// ready; so that calls are counted from there.
pub(crate) fn trace(arguments: &[&str], test: &str, role: &str) -> Traced {
    use std::io::{BufRead, BufReader, Write};
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("trace");
    let mut command = myself(test, role);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut child = Leash(child);
    let stderr = drain(child.0.stderr.take().unwrap());
    let mut stdout = BufReader::new(child.0.stdout.take().unwrap());
    let mut line = String::new();
    while line != "ready\n" {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "{role}: the child is never ready");
    }
    let mut strace = Command::new("strace");
    strace.args(["-f", "-p", &child.0.id().to_string(), "-o"]).arg(&file).args(arguments);
    let mut strace = Leash(strace.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    let mut said = BufReader::new(strace.0.stderr.take().unwrap());
    let mut attached = String::new();
    while !attached.contains("attached") {
        assert!(said.read_line(&mut attached).unwrap() > 0, "strace {arguments:?}: {attached}");
    }
    let said = drain(said);
    let stdout = drain(stdout);
    child.0.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let status = wait(&mut child.0, PATIENCE);
    if status.is_none() {
        // Where its threads hang.
        let tasks = std::fs::read_dir(format!("/proc/{}/task", child.0.id())).into_iter().flatten().flatten();
        for task in tasks {
            let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
            println!("{}: {} {}", task.path().display(), read("comm").trim(), read("syscall").trim());
        }
        let _ = child.0.kill();
    }
    assert!(wait(&mut strace.0, PATIENCE).is_some(), "strace does not end");
    drop(child);
    let all = |receiver: mpsc::Receiver<Vec<u8>>| receiver.recv_timeout(PATIENCE).unwrap_or_default();
    let (stdout, stderr, _) = (all(stdout), all(stderr), all(said));
    let trace = String::from_utf8_lossy(&std::fs::read(&file).unwrap_or_default()).into_owned();
    let Some(status) = status else {
        panic!(
            "{role} hangs under strace {arguments:?}\n--- stdout\n{}\n--- stderr\n{}\n--- end of trace\n{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr),
            trace.lines().rev().take(60).collect::<Vec<_>>().join("\n")
        );
    };
    Traced { output: Output { status, stdout, stderr }, trace }
}
