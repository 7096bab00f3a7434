//! The less loaded of two replicas taken at random: nearly as even as asking all, without their herding to the one that was
//! least loaded a moment ago (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing").

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;

use super::table::Backend;

/// One of the replicas but those in `tried`.
pub(super) fn pick(backends: &[Arc<Backend>], tried: &[SocketAddr], random: u64) -> Option<Arc<Backend>> {
    if let ([only], []) = (backends, tried) {
        return Some(Arc::clone(only));
    }
    let left: Vec<&Arc<Backend>> = backends.iter().filter(|backend| !tried.contains(&backend.address)).collect();
    let count = left.len() as u64;
    if count == 0 {
        return None;
    }
    let first = (random & 0xffff_ffff) % count;
    let second = if count > 1 { (first + 1 + (random >> 32) % (count - 1)) % count } else { first };
    let (first, second) = (left[first as usize], left[second as usize]);
    Some(Arc::clone(if second.in_flight() < first.in_flight() { second } else { first }))
}

/// 64 random bits (xorshift, Marsaglia 2003), of each thread its own.
pub(super) fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0_u8) | 1);
    }
    STATE.with(|state| {
        let mut bits = state.get();
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        state.set(bits);
        bits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backends(count: u16) -> Vec<Arc<Backend>> {
        (1..=count).map(|port| Arc::new(Backend::new(SocketAddr::from(([127, 0, 0, 1], port))))).collect()
    }

    #[test]
    fn the_less_loaded_of_two_is_taken() {
        let two = backends(2);
        let _busy = two[0].lease();
        assert!((0..100).all(|_| pick(&two, &[], random()).unwrap().address.port() == 2));
    }

    #[test]
    fn load_spreads_and_the_tried_are_left_out() {
        let three = backends(3);
        let leases: Vec<_> = (0..300).map(|_| pick(&three, &[], random()).unwrap().lease()).collect();
        assert!(three.iter().all(|one| (80..=120).contains(&one.in_flight())), "{three:?}");
        drop(leases);
        assert!(three.iter().all(|one| one.in_flight() == 0));
        let tried = [three[0].address, three[2].address];
        assert_eq!(pick(&three, &tried, random()).unwrap().address, three[1].address);
        assert!(pick(&three[..1], &tried, random()).is_none());
        assert!(pick(&[], &[], random()).is_none());
    }
}
