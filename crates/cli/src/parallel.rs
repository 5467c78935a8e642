//! The same work on many things, on several threads.

use std::ops::ControlFlow;
use std::sync::Mutex;

/// As many threads as were asked for, or as there are processors.
pub(crate) fn threads(wanted: Option<usize>) -> usize {
    let there = || std::thread::available_parallelism().map_or(1, usize::from);
    wanted.unwrap_or_else(there).max(1)
}

/// What `work` makes of each of `items`, in no order. Where it breaks, those that nobody has begun with are left out.
pub(crate) fn each<T: Send, R: Send>(
    items: Vec<T>,
    threads: usize,
    work: impl Fn(T) -> ControlFlow<R, R> + Sync,
) -> Vec<R> {
    let threads = threads.min(items.len());
    let queue = Mutex::new(items.into_iter());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().map_or(None, |mut queue| queue.next());
                    let Some(item) = next else { break };
                    let (result, go_on) = match work(item) {
                        ControlFlow::Continue(result) => (result, true),
                        ControlFlow::Break(result) => (result, false),
                    };
                    if let Ok(mut done) = done.lock() {
                        done.push(result);
                    }
                    if !go_on && let Ok(mut queue) = queue.lock() {
                        // The others find nothing left.
                        queue.by_ref().for_each(drop);
                    }
                }
            });
        }
    });
    done.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_worked_on_once() {
        for threads in [1, 3, 100] {
            let mut found = each((0..50).collect(), threads, |item: u32| ControlFlow::Continue(item * 2));
            found.sort_unstable();
            assert!(found.into_iter().eq((0..50).map(|item| item * 2)));
        }
        assert!(each(Vec::<u32>::new(), 4, ControlFlow::<u32, u32>::Continue).is_empty());
    }

    #[test]
    fn a_break_leaves_the_rest_out() {
        let found = each((0..50).collect(), 1, |item: u32| match item {
            7 => ControlFlow::Break(item),
            _ => ControlFlow::Continue(item),
        });
        assert!(found.into_iter().eq(0..=7));
    }
}
