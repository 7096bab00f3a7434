//! Children that try one model after another, with a script in their place that fails as it is told.

use super::*;
use crate::engine::selfcheck::Outcome;

const PATIENCE: Duration = Duration::from_secs(600);

fn trial() -> Trial {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/src/trial/child.sh");
    Trial { program: program.into(), places: Arc::new(Places::new(1)) }
}

fn model(threads: usize) -> Wanted {
    Wanted { threads, ..Wanted::default() }
}

/// The process that said that the model runs, or what was said against it.
async fn tried(trial: &Trial, threads: usize) -> Result<String, String> {
    let outcome = trial.of((Path::new("/nowhere"), &model(threads)), PATIENCE).await;
    outcome.map(|tried| process(&tried.unwrap())).map_err(|error| error.to_string())
}

fn process(tried: &Tried) -> String {
    match tried.checked.as_slice() {
        [Outcome::NoVerdict(process)] => process.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn those_that_wait_are_tried_in_one_process_and_it_ends_with_the_last() {
    let trial = trial();
    let (first, second, third) = tokio::join!(tried(&trial, 1), tried(&trial, 1), tried(&trial, 1));
    assert!(first.is_ok() && first == second && second == third, "{first:?} {second:?} {third:?}");
    assert!(!Path::new("/proc").join(first.clone().unwrap()).exists());
    assert_ne!(tried(&trial, 1).await, first);
}

#[tokio::test]
async fn nothing_is_believed_against_a_model_of_a_process_that_has_tried_others() {
    for threads in [2, 3, 4, 7] {
        let trial = trial();
        let (before, harmed, after) = tokio::join!(tried(&trial, 1), tried(&trial, threads), tried(&trial, 1));
        assert!(harmed.is_ok() && harmed != before, "{threads}: {harmed:?}");
        // What was tried alone has left no harm.
        assert_eq!(after, harmed, "{threads}");
    }
}

#[tokio::test]
async fn one_at_fault_is_blamed_alone() {
    for (threads, part) in [(5, "SIGSEGV (signal 11)"), (6, "invalid model: no graph")] {
        let trial = trial();
        let (before, refused, after) = tokio::join!(tried(&trial, 1), tried(&trial, threads), tried(&trial, 1));
        let message = refused.unwrap_err();
        assert!(message.contains(part), "{message}");
        assert!(before.is_ok() && after.is_ok() && before != after, "{before:?} {after:?}");
    }
}

#[tokio::test]
async fn one_that_hangs_is_ended_and_the_next_has_a_process_of_its_own() {
    let trial = trial();
    let hung = async { trial.of((Path::new("/nowhere"), &model(8)), Duration::from_secs(1)).await };
    let (before, hung, after) = tokio::join!(tried(&trial, 1), hung, tried(&trial, 1));
    assert!(matches!(hung, Err(TrialError::Slow)), "{hung:?}");
    assert!(before.is_ok() && after.is_ok() && before != after, "{before:?} {after:?}");
}

#[tokio::test]
async fn a_large_model_is_tried_alone() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(SMALL + 1).unwrap();
    let trial = trial();
    let wanted = model(1);
    let large = trial.of((file.path(), &wanted), PATIENCE);
    let (first, large) = tokio::join!(tried(&trial, 1), large);
    assert_ne!(process(&large.unwrap().unwrap()), first.unwrap());
}

#[tokio::test]
async fn a_child_that_was_left_for_a_model_that_gives_up_is_ended() {
    let trial = trial();
    let (place, none) = trial.places.take().await;
    assert!(none.is_none());
    let mut waiting = Box::pin(trial.places.take());
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let child = Process::start(&trial.program).unwrap();
    assert!(place.leave(child).is_none());
    drop(waiting);
    let (place, none) = trial.places.take().await;
    assert!(none.is_none());
    // Nobody waits: it comes back.
    assert!(place.leave(Process::start(&trial.program).unwrap()).is_some());
}

#[tokio::test]
async fn a_process_keeps_so_much_and_no_more() {
    let trial = trial();
    let said = futures_util::future::join_all((0..6).map(|_| tried(&trial, 9))).await;
    let processes: Vec<_> = said.into_iter().map(Result::unwrap).collect();
    // The fifth is past the bound.
    assert!(processes[0] == processes[4] && processes[4] != processes[5], "{processes:?}");
}

#[tokio::test]
async fn a_process_tries_so_many_models_and_no_more() {
    let trial = trial();
    let all = (0..=MOST_MODELS).map(|_| tried(&trial, 1));
    let said = futures_util::future::join_all(all).await;
    let processes: std::collections::BTreeSet<_> = said.into_iter().map(Result::unwrap).collect();
    assert_eq!(processes.len(), 2);
}
