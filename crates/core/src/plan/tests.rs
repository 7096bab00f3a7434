//! Tables for the arithmetic, and a small world for the promises: revisions whose replicas become ready, fail and go at random.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn resolved(replicas: u32, capacity: Capacity) -> Resolved {
    let mut object = json!({"apiVersion": crate::api::API_VERSION, "kind": "ModelDeployment", "metadata": {"name": "m"},
        "spec": {"model": {"uri": "file:m.onnx"}, "replicas": replicas}});
    crate::schema::schemas()[0].complete(&mut object);
    let mut resolved = crate::resolve::resolve(&serde_json::from_value(object).unwrap()).unwrap();
    (resolved.capacity, resolved.revision) = (capacity, "new".to_owned());
    resolved
}

/// (name, wanted, running, ready); every one of them has served, except those called `bad`.
fn seen(revisions: &[(&str, u32, u32, u32)]) -> Observed {
    let revisions = revisions.iter().enumerate().map(|(age, (name, wanted, running, ready))| RevisionObserved {
        wanted: *wanted,
        running: *running,
        ready: *ready,
        served: *name != "bad",
        ..RevisionObserved::new((*name).to_owned(), at(1000 - i64::try_from(age).unwrap()))
    });
    Observed { revisions: revisions.collect() }
}

fn planned(replicas: u32, capacity: Capacity, revisions: &[(&str, u32, u32, u32)]) -> Vec<(String, u32, u32)> {
    let plan = plan(&resolved(replicas, capacity), &seen(revisions), at(2000));
    plan.revisions.into_iter().map(|one| (one.revision, one.replicas, one.weight)).collect()
}

#[test]
fn the_arithmetic_by_example() {
    use Capacity::{Replace, Surge};
    type Case = (u32, Capacity, &'static [(&'static str, u32, u32, u32)], &'static [(&'static str, u32, u32)]);
    let cases: &[Case] = &[
        // The first revision needs nobody's leave.
        (3, Surge, &[], &[("new", 3, 100)]),
        (0, Surge, &[], &[("new", 0, 100)]),
        // A new one begins with the surge; the old one keeps all.
        (4, Surge, &[("old", 4, 4, 4)], &[("new", 1, 0), ("old", 4, 100)]),
        (1, Surge, &[("old", 1, 1, 1)], &[("new", 1, 0), ("old", 1, 100)]),
        (8, Surge, &[("old", 8, 8, 8)], &[("new", 2, 0), ("old", 8, 100)]),
        // It never becomes ready: nothing changes.
        (4, Surge, &[("new", 1, 1, 0), ("old", 4, 4, 4)], &[("new", 1, 0), ("old", 4, 100)]),
        // Ready: the old shrinks by as much, and the new grows once it has.
        (4, Surge, &[("new", 1, 1, 1), ("old", 4, 4, 4)], &[("new", 1, 25), ("old", 3, 75)]),
        (4, Surge, &[("new", 1, 1, 1), ("old", 3, 3, 3)], &[("new", 2, 25), ("old", 3, 75)]),
        (4, Surge, &[("new", 4, 4, 4), ("old", 1, 1, 1)], &[("new", 4, 100), ("old", 0, 0)]),
        // The new one fails half-way: the old one comes back to full strength as there is room.
        (4, Surge, &[("new", 3, 3, 0), ("old", 2, 2, 2)], &[("new", 1, 0), ("old", 2, 100)]),
        (4, Surge, &[("new", 1, 1, 0), ("old", 2, 2, 2)], &[("new", 1, 0), ("old", 4, 100)]),
        // Once the old one is gone, it stays gone.
        (4, Surge, &[("new", 4, 4, 0), ("old", 0, 0, 0)], &[("new", 4, 100), ("old", 0, 0)]),
        // A revision that never served is dropped for the next.
        (2, Surge, &[("bad", 1, 1, 0), ("old", 2, 2, 2)], &[("new", 0, 0), ("bad", 0, 0), ("old", 2, 100)]),
        (2, Surge, &[("bad", 0, 0, 0), ("old", 2, 2, 2)], &[("new", 1, 0), ("bad", 0, 0), ("old", 2, 100)]),
        (2, Surge, &[("bad", 2, 2, 0)], &[("new", 2, 100), ("bad", 0, 0)]),
        // Scaling while a new one hangs concerns the old one too.
        (6, Surge, &[("new", 1, 1, 0), ("old", 4, 4, 4)], &[("new", 1, 0), ("old", 6, 100)]),
        (2, Surge, &[("new", 1, 1, 0), ("old", 4, 4, 4)], &[("new", 1, 0), ("old", 2, 100)]),
        (0, Surge, &[("new", 1, 1, 0), ("old", 4, 4, 4)], &[("new", 0, 100), ("old", 0, 0)]),
        // Replace: room first, then the new one.
        (4, Replace, &[("old", 4, 4, 4)], &[("new", 0, 0), ("old", 3, 100)]),
        (4, Replace, &[("old", 3, 3, 3)], &[("new", 1, 0), ("old", 3, 100)]),
        (4, Replace, &[("new", 1, 1, 1), ("old", 3, 3, 3)], &[("new", 1, 33), ("old", 2, 67)]),
        (1, Replace, &[("old", 1, 1, 1)], &[("new", 0, 100), ("old", 0, 0)]),
    ];
    for (wanted, capacity, revisions, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|(name, replicas, weight)| ((*name).to_owned(), *replicas, *weight)).collect();
        assert_eq!(planned(*wanted, *capacity, revisions), expected, "{wanted} {capacity:?} {revisions:?}");
    }
}

#[test]
fn auto_surges_until_no_place_is_found() {
    let mut observed = seen(&[("new", 1, 1, 0), ("old", 4, 4, 4)]);
    observed.revisions[0].unschedulable_since = Some(at(100));
    let resolved = resolved(4, Capacity::Auto);
    let patient = plan(&resolved, &observed, at(129));
    assert_eq!((patient.revision("old").unwrap().replicas, patient.wake_at), (4, Some(at(130))));
    let pressed = plan(&resolved, &observed, at(130));
    assert_eq!((pressed.revision("old").unwrap().replicas, pressed.wake_at), (3, None));
}

/// Carries a plan out at once: what shrinks loses the replicas that are not ready first.
fn apply(observed: &mut Observed, plan: &Plan) {
    for (age, planned) in plan.revisions.iter().enumerate() {
        if !observed.revisions.iter().any(|one| one.revision == planned.revision) {
            observed.revisions.push(RevisionObserved::new(planned.revision.clone(), at(5000 + i64::try_from(age).unwrap())));
        }
        let one = observed.revisions.iter_mut().find(|one| one.revision == planned.revision).unwrap();
        (one.wanted, one.running, one.ready) = (planned.replicas, planned.replicas, one.ready.min(planned.replicas));
    }
}

fn totals(observed: &Observed) -> (u32, u32) {
    (observed.revisions.iter().map(|one| one.running).sum(), observed.revisions.iter().map(|one| one.ready).sum())
}

prop_compose! {
    fn any_revision()(running in 0_u32..9)(
        running in Just(running), wanted in 0_u32..9, ready in 0..=running, served in any::<bool>(), age in 0_i64..5
    ) -> (u32, u32, u32, bool, i64) {
        // Who was asked for nothing and still exists has been asked to stop, and does not count.
        (if running > 0 { wanted.max(1) } else { wanted }, running, ready, served || ready > 0, age)
    }
}

prop_compose! {
    fn any_world()(revisions in prop::collection::vec(any_revision(), 0..4), with_new in any::<bool>()) -> Observed {
        Observed { revisions: revisions.into_iter().enumerate().map(|(index, (wanted, running, ready, served, age))| {
            let name = if index == 0 && with_new { "new".to_owned() } else { format!("old{index}") };
            RevisionObserved { wanted, running, ready, served, ..RevisionObserved::new(name, at(age)) }
        }).collect() }
    }
}

fn any_capacity() -> impl Strategy<Value = Capacity> {
    prop_oneof![Just(Capacity::Surge), Just(Capacity::Replace), Just(Capacity::Auto)]
}

proptest! {
    #[test]
    fn weights_sum_to_a_hundred_and_only_those_with_replicas_have_any(observed in any_world(), wanted in 0_u32..9, capacity in any_capacity()) {
        let plan = plan(&resolved(wanted, capacity), &observed, at(9000));
        prop_assert_eq!(plan.revisions.iter().map(|one| one.weight).sum::<u32>(), 100);
        let ready: u32 = plan.revisions.iter().filter(|one| one.weight > 0).map(|one| one.replicas).sum();
        prop_assert!(ready > 0 || plan.revisions.iter().all(|one| one.replicas == 0) || plan.revision("new").unwrap().weight == 100);
    }

    #[test]
    fn never_above_the_bound_and_never_fewer_ready_than_promised(observed in any_world(), wanted in 0_u32..9, capacity in any_capacity()) {
        let rolling = observed.revisions.iter().any(|one| one.revision != "new" && one.served && one.wanted > 0);
        let plan = plan(&resolved(wanted, capacity), &observed, at(9000));
        let (before, ready_before) = totals(&observed);
        let at_most: u32 = plan.revisions.iter().map(|one| {
            let running = observed.revisions.iter().find(|seen| seen.revision == one.revision).map_or(0, |seen| seen.running);
            one.replicas.max(running)
        }).sum();
        let mut after = observed.clone();
        apply(&mut after, &plan);
        if rolling && wanted > 0 {
            let bound = if capacity == Capacity::Replace { wanted } else { wanted + step(wanted) };
            prop_assert!(at_most <= bound.max(before), "{} exist, {} allowed", at_most, bound);
            let promised = if capacity == Capacity::Replace { wanted.saturating_sub(step(wanted)) } else { wanted };
            prop_assert!(totals(&after).1 >= promised.min(ready_before));
        }
    }

    #[test]
    fn a_plan_carried_out_and_seen_asks_for_no_change_in_the_end(observed in any_world(), wanted in 0_u32..9, capacity in any_capacity()) {
        let resolved = resolved(wanted, capacity);
        let first = plan(&resolved, &observed, at(9000));
        prop_assert_eq!(&plan(&resolved, &observed, at(9000)), &first);
        // Nothing becomes ready: a few rounds of shrinking before growing, then stillness.
        let mut world = observed;
        for _ in 0..4 {
            let next = plan(&resolved, &world, at(9000));
            apply(&mut world, &next);
        }
        let still = plan(&resolved, &world, at(9000));
        let mut again = world.clone();
        apply(&mut again, &still);
        prop_assert_eq!(totals(&again), totals(&world));
        prop_assert_eq!(plan(&resolved, &again, at(9000)), still);
    }

    #[test]
    fn a_new_revision_that_becomes_ready_takes_over(wanted in 0_u32..20, capacity in any_capacity(), luck in prop::collection::vec(any::<bool>(), 200)) {
        let resolved = resolved(wanted, capacity);
        let mut world = seen(&[("old", wanted, wanted, wanted)]);
        let mut luck = luck.into_iter();
        for _ in 0..600 {
            let next = plan(&resolved, &world, at(9000));
            apply(&mut world, &next);
            let promised = if capacity == Capacity::Replace { wanted.saturating_sub(step(wanted)) } else { wanted };
            prop_assert!(totals(&world).1 >= promised);
            for one in &mut world.revisions {
                if one.ready < one.running && luck.next().unwrap_or(true) {
                    one.ready += 1;
                    one.served = true;
                }
            }
        }
        let last = plan(&resolved, &world, at(9000));
        prop_assert_eq!(last.revision("new").map(|one| (one.replicas, one.weight)), Some((wanted, 100)));
        prop_assert!(last.revisions.iter().skip(1).all(|one| one.replicas == 0));
    }

    #[test]
    fn a_number_that_an_autoscaler_changes_on_the_way_costs_nothing(numbers in prop::collection::vec(0_u32..12, 1..30), luck in prop::collection::vec(any::<bool>(), 200)) {
        let mut world = seen(&[("old", 4, 4, 4)]);
        let mut luck = luck.into_iter();
        let mut become_ready = |world: &mut Observed| {
            for one in &mut world.revisions {
                if one.ready < one.running && luck.next().unwrap_or(true) {
                    one.ready += 1;
                    one.served = true;
                }
            }
        };
        for wanted in &numbers {
            let before = totals(&world).1;
            let next = plan(&resolved(*wanted, Capacity::Surge), &world, at(9000));
            apply(&mut world, &next);
            prop_assert!(totals(&world).1 >= before.min(*wanted), "{} of {} ready, {} before", totals(&world).1, wanted, before);
            become_ready(&mut world);
        }
        let wanted = numbers[numbers.len() - 1];
        let resolved = resolved(wanted, Capacity::Surge);
        for _ in 0..600 {
            let next = plan(&resolved, &world, at(9000));
            apply(&mut world, &next);
            become_ready(&mut world);
        }
        let last = plan(&resolved, &world, at(9000));
        prop_assert_eq!(last.revision("new").map(|one| (one.replicas, one.weight)), Some((wanted, 100)));
    }

    #[test]
    fn a_new_revision_that_fails_leaves_the_old_at_full_strength(wanted in 1_u32..20, partly in 0_u32..20) {
        let resolved = resolved(wanted, Capacity::Surge);
        let partly = partly.min(wanted - 1);
        let mut world = seen(&[("new", partly, partly, 0), ("old", wanted - partly, wanted - partly, wanted - partly)]);
        for _ in 0..600 {
            let next = plan(&resolved, &world, at(9000));
            apply(&mut world, &next);
            prop_assert!(totals(&world).0 <= wanted + step(wanted));
            let old = world.revisions.iter_mut().find(|one| one.revision == "old").unwrap();
            old.ready = old.running;
        }
        let last = plan(&resolved, &world, at(9000));
        prop_assert_eq!(last.revision("old").map(|one| (one.replicas, one.weight)), Some((wanted, 100)));
        prop_assert_eq!(last.revision("new").map(|one| one.replicas), Some(step(wanted).min(wanted)));
    }
}
