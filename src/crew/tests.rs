use super::*;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Says its name at each step, and then does as it is told.
struct Sayer {
    name: u32,
    said: Sender<u32>,
    step: Box<dyn FnMut() -> Next + Send>,
}

impl Chore for Sayer {
    fn step(&mut self) -> Next {
        let _ = self.said.send(self.name);
        (self.step)()
    }

    fn panicked(&mut self) {
        let _ = self.said.send(self.name + 1000);
    }
}

fn crew(threads: usize) -> (Crew, Sender<u32>, Receiver<u32>) {
    let (said, heard) = channel();
    (Crew::start("tidelog-test", threads, Path::new("test")).unwrap(), said, heard)
}

fn seat(crew: &Crew, said: &Sender<u32>, name: u32, step: impl FnMut() -> Next + Send + 'static) -> Seat {
    crew.seat(Box::new(Sayer { name, said: said.clone(), step: Box::new(step) }))
}

#[test]
fn a_chore_is_done_at_first_when_it_is_due_and_when_its_bell_rings() {
    let (crew, said, heard) = crew(1);
    let called = seat(&crew, &said, 1, || Next::WhenCalled);
    assert_eq!(heard.recv(), Ok(1));
    called.bell().ring();
    assert_eq!(heard.recv(), Ok(1));
    let _timed = seat(&crew, &said, 2, || Next::After(Duration::from_millis(1)));
    for _ in 0..5 {
        assert_eq!(heard.recv(), Ok(2));
    }
    crew.stop();
}

/// A bell that rings during the step is for another one.
#[test]
fn no_call_is_lost() {
    let (crew, said, heard) = crew(1);
    let (go, wait_for_go) = channel::<()>();
    let slow = seat(&crew, &said, 1, move || {
        let _ = wait_for_go.recv();
        Next::WhenCalled
    });
    assert_eq!(heard.recv(), Ok(1));
    slow.bell().ring();
    slow.bell().ring();
    go.send(()).unwrap();
    assert_eq!(heard.recv(), Ok(1), "called while it was at it");
    go.send(()).unwrap();
    drop(slow);
    crew.stop();
    drop(said);
    assert!(heard.iter().next().is_none(), "the two calls are one step");
}

/// One calls itself at each step, another is due at once, always; a third is called now and then.
#[test]
fn one_that_never_rests_starves_nobody() {
    let (crew, said, _heard) = crew(1);
    let bell = std::sync::Arc::new(std::sync::OnceLock::<Bell>::new());
    let own = std::sync::Arc::clone(&bell);
    let restless = seat(&crew, &said, 1, move || {
        if let Some(bell) = own.get() {
            bell.ring();
        }
        Next::After(Duration::ZERO)
    });
    bell.set(restless.bell()).unwrap();
    let (steps, due) = channel();
    let _due = seat(&crew, &said, 2, move || {
        let _ = steps.send(());
        Next::After(Duration::ZERO)
    });
    let (answers, quiet) = channel();
    let called = seat(&crew, &said, 3, move || {
        let _ = answers.send(());
        Next::WhenCalled
    });
    let patience = Duration::from_secs(60);
    quiet.recv_timeout(patience).unwrap();
    for _ in 0..50 {
        called.bell().ring();
        quiet.recv_timeout(patience).expect("the one that is called has its turn");
        due.recv_timeout(patience).expect("the one that is due has its turn");
    }
    drop(restless);
    crew.stop();
}

#[test]
fn one_that_panics_is_told_and_the_others_go_on() {
    let (crew, said, heard) = crew(1);
    let bad = seat(&crew, &said, 1, || panic!("meant"));
    assert_eq!((heard.recv(), heard.recv()), (Ok(1), Ok(1001)));
    bad.bell().ring();
    let good = seat(&crew, &said, 2, || Next::WhenCalled);
    assert_eq!(heard.recv(), Ok(2));
    good.bell().ring();
    assert_eq!(heard.recv(), Ok(2), "the one that panicked is not done again");
    drop(bad);
    crew.stop();
}

/// Who leaves knows that nothing is done any more; one that leaves in its own step does not wait for itself.
#[test]
fn who_leaves_waits_for_the_step_that_is_under_way() {
    for threads in [1, 3] {
        let (crew, said, heard) = crew(threads);
        let ended = std::sync::Arc::new(Mutex::new(false));
        let sets = std::sync::Arc::clone(&ended);
        let slow = seat(&crew, &said, 1, move || {
            std::thread::sleep(Duration::from_millis(20));
            *lock(&sets) = true;
            Next::After(Duration::ZERO)
        });
        assert_eq!(heard.recv(), Ok(1));
        drop(slow);
        assert!(*lock(&ended));
        let own = std::sync::Arc::new(Mutex::new(None::<Seat>));
        let takes = std::sync::Arc::clone(&own);
        *lock(&own) = Some(seat(&crew, &said, 2, move || {
            let seat = lock(&takes).take();
            if seat.is_some() { Next::WhenCalled } else { Next::After(Duration::from_millis(1)) }
        }));
        assert!(heard.iter().take(1).any(|name| name == 1 || name == 2));
        crew.stop();
    }
}

#[test]
fn several_threads_do_different_chores_at_once_and_never_the_same() {
    let (crew, said, heard) = crew(2);
    let barrier = std::sync::Arc::new(std::sync::Barrier::new(2));
    let inside = std::sync::Arc::new(Mutex::new(()));
    let seats: Vec<_> = (1..3)
        .map(|name| {
            let barrier = std::sync::Arc::clone(&barrier);
            // Both must be at it for either to end.
            seat(&crew, &said, name, move || {
                barrier.wait();
                Next::WhenCalled
            })
        })
        .collect();
    let mut both = [heard.recv().unwrap(), heard.recv().unwrap()];
    both.sort_unstable();
    assert_eq!(both, [1, 2]);
    drop(seats);
    let alone = seat(&crew, &said, 3, move || {
        assert!(crate::primitive::try_lock(&inside).is_some_and(|guard| {
            std::thread::sleep(Duration::from_millis(1));
            drop(guard);
            true
        }));
        Next::After(Duration::ZERO)
    });
    for _ in 0..10 {
        alone.bell().ring();
        assert_eq!(heard.recv(), Ok(3));
    }
    drop(alone);
    crew.stop();
}

/// An interval may be longer than the clock can tell.
#[test]
fn one_that_is_never_due_again_waits_for_its_bell() {
    let (crew, said, heard) = crew(1);
    let patient = seat(&crew, &said, 1, || Next::After(Duration::MAX));
    assert_eq!(heard.recv(), Ok(1));
    patient.bell().ring();
    assert_eq!(heard.recv(), Ok(1));
    let other = seat(&crew, &said, 2, || Next::WhenCalled);
    assert_eq!(heard.recv(), Ok(2));
    drop((patient, other));
    crew.stop();
}
