//! What is kept of requests' bodies so that they can be sent again, bounded over all requests: past the bound a body streams
//! through, and its request is not repeated.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bytes that the kept bodies of all requests hold together.
#[derive(Debug)]
pub(super) struct Budget {
    most: u64,
    used: AtomicU64,
}

/// What one request has of a [`Budget`]; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Kept {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    pub(super) const fn new(most: u64) -> Self {
        Self { most, used: AtomicU64::new(0) }
    }
}

impl Kept {
    pub(super) const fn new(budget: Arc<Budget>) -> Self {
        Self { budget, bytes: 0 }
    }

    /// Whether more may be kept. It is asked before a piece is read, whose size nobody knows: all together may be over by as
    /// many pieces as are read at once.
    pub(super) fn has_room(&self) -> bool {
        self.budget.used.load(Ordering::Relaxed) < self.budget.most
    }

    /// The bytes that all may hold.
    pub(super) fn most(&self) -> u64 {
        self.budget.most
    }

    pub(super) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.budget.used.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_that_of_all_and_what_is_taken_comes_back() {
        let budget = Arc::new(Budget::new(100));
        let (mut one, mut two) = (Kept::new(Arc::clone(&budget)), Kept::new(Arc::clone(&budget)));
        one.add(60);
        assert!(two.has_room());
        two.add(40);
        assert!(!one.has_room() && !two.has_room());
        drop(one);
        assert!(two.has_room());
        drop(two);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }
}
