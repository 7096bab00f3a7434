use serde_json::json;

use super::*;
use crate::api::Failure;
use crate::plan::plan;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn resolved(replicas: i32) -> Resolved {
    let mut object = json!({"apiVersion": crate::api::API_VERSION, "kind": "ModelDeployment", "metadata": {"name": "m"},
        "spec": {"model": {"uri": "file:m.onnx"}, "replicas": replicas}});
    crate::schema::schemas()[0].complete(&mut object);
    let mut resolved = crate::resolve::resolve(&serde_json::from_value(object).unwrap()).unwrap();
    resolved.revision = "new".to_owned();
    resolved
}

fn revision(name: &str, created: i64, running: u32, ready: u32) -> RevisionObserved {
    RevisionObserved {
        wanted: running,
        running,
        ready,
        served: ready > 0,
        version: Some(1),
        ..RevisionObserved::new(name.to_owned(), at(created))
    }
}

fn told(resolved: &Resolved, observed: &Observed, previous: Option<&ModelDeploymentStatus>, now: i64) -> ModelDeploymentStatus {
    let plan = plan(resolved, observed, at(now));
    status(&Situation {
        wanted: Ok((resolved, &plan)),
        generation: Some(3),
        observed,
        previous,
        url: Some("http://m.ns.svc"),
        selector: None,
        now: at(now),
    })
}

fn summary(status: &ModelDeploymentStatus) -> Vec<(String, String, String)> {
    status.conditions.iter().map(|one| (one.type_.clone(), one.status.clone(), one.reason.clone())).collect()
}

fn expect(status: &ModelDeploymentStatus, expected: [(&str, &str, &str); 3]) {
    let expected = expected.map(|(kind, status, reason)| (kind.to_owned(), status.to_owned(), reason.to_owned()));
    assert_eq!(summary(status), expected, "{:?}", status.conditions);
}

#[test]
fn from_nothing_to_serving() {
    let resolved = resolved(2);
    let empty = told(&resolved, &Observed::default(), None, 10);
    expect(&empty, [("Serving", "False", "Scheduling"), ("UpToDate", "False", "Scheduling"), ("Ready", "False", "Scheduling")]);
    let mut loading = revision("new", 1, 2, 0);
    loading.progress = Some((Reason::Downloading, "12 of 40 MB".to_owned()));
    let loading = told(&resolved, &Observed { revisions: vec![loading] }, Some(&empty), 11);
    expect(
        &loading,
        [("Serving", "False", "Downloading"), ("UpToDate", "False", "Downloading"), ("Ready", "False", "Downloading")],
    );
    assert_eq!(loading.conditions[2].last_transition_time.0, at(10), "still False: the time stays");
    let partly = told(&resolved, &Observed { revisions: vec![revision("new", 1, 2, 1)] }, Some(&loading), 12);
    expect(&partly, [("Serving", "True", "Serving"), ("UpToDate", "False", "Loading"), ("Ready", "False", "Loading")]);
    let full = told(&resolved, &Observed { revisions: vec![revision("new", 1, 2, 2)] }, Some(&partly), 13);
    expect(&full, [("Serving", "True", "Serving"), ("UpToDate", "True", "Serving"), ("Ready", "True", "Serving")]);
    assert_eq!(full.conditions[0].last_transition_time.0, at(12));
    assert_eq!(full.conditions[2].last_transition_time.0, at(13));
    assert_eq!(full.ready_of_wanted.as_deref(), Some("2/2"));
    assert_eq!((full.revisions[0].role, full.revisions[0].weight), (Role::Stable, 100));
}

#[test]
fn more_replicas_on_their_way_leave_it_ready() {
    let grown = |ready, failure: Option<Failure>, previous: Option<&ModelDeploymentStatus>| {
        let seen = RevisionObserved { failure, ..revision("new", 1, 4, ready) };
        told(&resolved(4), &Observed { revisions: vec![seen] }, previous, 20)
    };
    let full = told(&resolved(2), &Observed { revisions: vec![revision("new", 1, 2, 2)] }, None, 10);
    let growing = grown(2, None, Some(&full));
    expect(&growing, [("Serving", "True", "Serving"), ("UpToDate", "True", "Serving"), ("Ready", "True", "Serving")]);
    let said = &growing.conditions[1].message;
    assert_eq!(said, "revision new has 2 of 4 replicas ready; the others start");
    assert_eq!((growing.ready_of_wanted.as_deref(), growing.conditions[2].last_transition_time.0), (Some("2/4"), at(10)));
    let held = Failure {
        reason: Reason::Unschedulable,
        message: "no node has 8 CPUs free".to_owned(),
        pod: Some("new-x".to_owned()),
        exit_code: None,
        at: Time(at(15)),
    };
    let stuck = grown(2, Some(held), Some(&growing));
    expect(&stuck, [("Serving", "True", "Serving"), ("UpToDate", "False", "Unschedulable"), ("Ready", "False", "Unschedulable")]);
    let begun = grown(2, None, None);
    expect(&begun, [("Serving", "True", "Serving"), ("UpToDate", "False", "Loading"), ("Ready", "False", "Loading")]);
    let none = grown(0, None, Some(&growing));
    expect(&none, [("Serving", "False", "Loading"), ("UpToDate", "False", "Loading"), ("Ready", "False", "Loading")]);
}

#[test]
fn old_serving_and_new_failing_are_two_facts() {
    let mut new = revision("new", 2, 1, 0);
    new.failure = Some(Failure {
        reason: Reason::ChecksumMismatch,
        message: "file:m.onnx has another sum".to_owned(),
        pod: None,
        exit_code: None,
        at: Time(at(5)),
    });
    let observed = Observed { revisions: vec![revision("old", 1, 2, 2), new] };
    let status = told(&resolved(2), &observed, None, 20);
    expect(
        &status,
        [("Serving", "True", "Serving"), ("UpToDate", "False", "ChecksumMismatch"), ("Ready", "False", "ChecksumMismatch")],
    );
    assert_eq!(status.failure.unwrap().reason, Reason::ChecksumMismatch);
    let roles: Vec<_> = status.revisions.iter().map(|one| (one.name.as_str(), one.role, one.weight)).collect();
    assert_eq!(roles, [("new", Role::Candidate, 0), ("old", Role::Stable, 100)]);
}

#[test]
fn zero_is_well_and_an_invalid_spec_keeps_what_serves() {
    let zero = told(&resolved(0), &Observed::default(), None, 1);
    expect(&zero, [("Serving", "True", "ScaledToZero"), ("UpToDate", "True", "ScaledToZero"), ("Ready", "True", "ScaledToZero")]);
    // Nothing is on its way: a revision without a replica is no candidate.
    let parked = told(&resolved(0), &Observed { revisions: vec![revision("old", 1, 0, 0), revision("new", 2, 0, 0)] }, None, 10);
    let roles: Vec<(&str, Role)> = parked.revisions.iter().map(|one| (one.name.as_str(), one.role)).collect();
    assert_eq!(roles, [("new", Role::Stable), ("old", Role::Retired)]);
    let invalid = Invalid { field: "spec".to_owned(), message: "expected one of model and models, found neither".to_owned() };
    let observed = Observed { revisions: vec![revision("old", 1, 1, 1)] };
    let status = status(&Situation {
        wanted: Err(&invalid),
        generation: Some(4),
        observed: &observed,
        previous: None,
        url: None,
        selector: None,
        now: at(1),
    });
    expect(&status, [("Serving", "True", "Serving"), ("UpToDate", "False", "InvalidSpec"), ("Ready", "False", "InvalidSpec")]);
}

#[test]
fn what_is_known_of_a_start_stays_told() {
    let resolved = resolved(1);
    let start = |pod: &str, second| ColdStart {
        pod: pod.to_owned(),
        at: Time(at(second)),
        total: Some(std::time::Duration::from_millis(1500).into()),
        scheduling: None,
        pulling: None,
        downloading: None,
        loading: None,
        warming: None,
    };
    let mut new = revision("new", 1, 1, 1);
    (new.cold_start, new.digest) = (Some(start("a", 5)), Some("ab".to_owned()));
    let first = told(&resolved, &Observed { revisions: vec![new] }, None, 10);
    assert_eq!((first.cold_start.as_ref(), first.revisions[0].digest.as_deref()), (Some(&start("a", 5)), Some("ab")));
    let later = told(&resolved, &Observed { revisions: vec![revision("new", 1, 1, 1)] }, Some(&first), 20);
    assert_eq!(later, first, "nothing is news, and nothing is forgotten");
    let (mut old, mut new) = (revision("old", 1, 1, 1), revision("new", 2, 1, 1));
    (old.cold_start, new.cold_start) = (Some(start("b", 7)), Some(start("c", 9)));
    let both = told(&resolved, &Observed { revisions: vec![old, new] }, Some(&later), 30);
    assert_eq!((both.cold_start, both.revisions[1].digest.as_deref()), (Some(start("c", 9)), None));
}

#[test]
fn a_pause_is_told_whatever_waits_for_its_end() {
    let mut paused = resolved(1);
    paused.paused = true;
    let serving = told(&paused, &Observed { revisions: vec![revision("new", 1, 1, 1)] }, None, 1);
    expect(&serving, [("Serving", "True", "Serving"), ("UpToDate", "True", "Serving"), ("Ready", "True", "Serving")]);
    assert!(serving.conditions.iter().all(|one| one.message.ends_with("paused: nothing is changed until spec.paused is false")));
    let waiting = told(&paused, &Observed { revisions: vec![revision("old", 1, 1, 1)] }, None, 1);
    expect(&waiting, [("Serving", "True", "Serving"), ("UpToDate", "False", "Paused"), ("Ready", "False", "Paused")]);
}

#[test]
fn what_the_api_server_refuses_is_told_while_all_replicas_serve() {
    let mut new = revision("new", 2, 1, 1);
    let refusal = |pod: Option<&str>| Failure {
        reason: Reason::Forbidden,
        message: "NetworkPolicy m was refused".to_owned(),
        pod: pod.map(str::to_owned),
        exit_code: None,
        at: Time(at(5)),
    };
    new.failure = Some(refusal(None));
    let status = told(&resolved(1), &Observed { revisions: vec![new.clone()] }, None, 20);
    expect(&status, [("Serving", "True", "Serving"), ("UpToDate", "False", "Forbidden"), ("Ready", "False", "Forbidden")]);
    new.failure = Some(refusal(Some("m-1")));
    let status = told(&resolved(1), &Observed { revisions: vec![new] }, None, 20);
    expect(&status, [("Serving", "True", "Serving"), ("UpToDate", "True", "Serving"), ("Ready", "True", "Serving")]);
}

#[test]
fn each_model_of_several_has_its_own_line_and_time() {
    let spec = json!({"models": [{"name": "a", "uri": "http://m/a"}, {"name": "b", "uri": "http://m/b"}], "replicas": 1});
    let mut object =
        json!({"apiVersion": crate::api::API_VERSION, "kind": "ModelDeployment", "metadata": {"name": "m"}, "spec": spec});
    crate::schema::schemas()[0].complete(&mut object);
    let mut several = crate::resolve::resolve(&serde_json::from_value(object).unwrap()).unwrap();
    several.revision = "new".to_owned();
    let seen = |states: [ModelState; 2], failure: Option<Failure>| {
        let models = ["a", "b"].into_iter().zip(states).map(|(name, state)| ModelObserved {
            name: name.to_owned(),
            state,
            reason: None,
            message: None,
            pin: None,
        });
        Observed { revisions: vec![RevisionObserved { models: models.collect(), failure, ..revision("new", 1, 1, 1) }] }
    };
    let lines = |status: &ModelDeploymentStatus| -> Vec<(String, ModelState, Timestamp)> {
        status.models.iter().map(|one| (one.name.clone(), one.state, one.since.0)).collect()
    };
    let line = |name: &str, state, second| (name.to_owned(), state, at(second));
    let first = told(&several, &seen([ModelState::Ready, ModelState::Loading], None), None, 10);
    assert_eq!(lines(&first), [line("a", ModelState::Ready, 10), line("b", ModelState::Loading, 10)]);
    let failure = Failure {
        reason: Reason::ModelNotFound,
        message: "model 'b': 404".to_owned(),
        pod: None,
        exit_code: None,
        at: Time(at(20)),
    };
    let then = told(&several, &seen([ModelState::Ready, ModelState::Failed], Some(failure)), Some(&first), 20);
    assert_eq!(lines(&then), [line("a", ModelState::Ready, 10), line("b", ModelState::Failed, 20)]);
    expect(&then, [("Serving", "True", "Serving"), ("UpToDate", "False", "ModelNotFound"), ("Ready", "False", "ModelNotFound")]);
    assert_eq!((then.conditions[2].message.as_str(), &then.failure), ("model 'b': 404", &None));

    let silent = Observed { revisions: vec![revision("new", 1, 1, 1)] };
    assert_eq!(lines(&told(&several, &silent, Some(&then), 30)), lines(&then), "what was told stays told");
    several.replicas = 0;
    let parked = told(&several, &Observed { revisions: vec![revision("new", 1, 0, 0)] }, Some(&then), 40);
    assert_eq!(lines(&parked), [line("a", ModelState::Standby, 40), line("b", ModelState::Standby, 40)]);
    several.inline = None;
    assert_eq!(told(&several, &silent, Some(&then), 50).models, [], "of servers that do not follow nothing is known");
}
