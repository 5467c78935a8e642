//! A task that waits until there is room to append.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::Chain;
use super::supply::Turn;
use crate::error::Result;

impl Chain {
    /// Ready when a claim of so many bytes is worth another try, or with the reason why none will succeed. Else `waker`
    /// is woken, once, when it is worth another look.
    pub(crate) fn poll_room(&self, turn: &mut Turn, bytes: u64, waker: &Waker) -> Poll<Result<()>> {
        self.refuse_in_child()?;
        self.supply.poll_until(turn, waker, || self.see_room(bytes))
    }

    /// The task waits no more.
    pub(crate) fn leave_room(&self, turn: &mut Turn) {
        // (In a forked child whoever held the lock is not there to give it up.)
        if !self.is_inherited() {
            self.supply.give_up(turn);
        }
    }
}

/// Ready when a claim of so many bytes is worth another try, or with the reason why none will succeed. The place among
/// those who wait is given up when this is dropped.
pub(crate) struct Room<'a> {
    chain: &'a Chain,
    bytes: u64,
    turn: Turn,
}

impl<'a> Room<'a> {
    pub(crate) fn new(chain: &'a Chain, bytes: u64) -> Self {
        Self { chain, bytes, turn: Turn::default() }
    }
}

impl Future for Room<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let Self { chain, bytes, turn } = &mut *self;
        chain.poll_room(turn, *bytes, context.waker())
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.chain.leave_room(&mut self.turn);
    }
}

impl fmt::Debug for Room<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("bytes", &self.bytes).finish()
    }
}
