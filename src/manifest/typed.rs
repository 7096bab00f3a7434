//! What only the typed object shows, of an object that has other faults too: each fault is put out of the way, and the rest is
//! read again, so that one run shows all that can be found.

use modelyard_core::api::ModelDeployment;
use modelyard_core::resolve::{Invalid, resolve};
use modelyard_core::schema::{Path, Schema, Segment};
use serde_json::{Value, json};

/// Faults of one object that are looked for at most.
const MOST: usize = 64;

/// The faults beside those at the paths that are `known`.
pub(super) fn faults(schema: &Schema, object: &Value, known: &[Path]) -> Vec<Invalid> {
    let mut object = object.clone();
    // From the end: what is taken out of a list must not move what is before it.
    known.iter().rev().for_each(|path| put_away(&mut object, path));
    let (mut found, mut seen): (Vec<Invalid>, Vec<Path>) = (Vec::new(), known.to_vec());
    for _ in 0..MOST {
        schema.complete(&mut object);
        let Ok(deployment) = serde_json::from_value::<ModelDeployment>(object.clone()) else { break };
        let Err(invalid) = resolve(&deployment) else { break };
        let path = Path::parse(&invalid.field);
        // A fault of what is around one is its consequence: the field that is missing was put away.
        if seen.iter().any(|one| one.segments().starts_with(path.segments())) {
            break;
        }
        put_away(&mut object, &path);
        seen.push(path);
        found.push(invalid);
    }
    found
}

/// Takes a faulty value out: a step as a whole, where another that is right takes its place; anything else by itself.
fn put_away(object: &mut Value, path: &Path) {
    let segments = path.segments();
    let step = segments.windows(2).position(|pair| match pair {
        [Segment::Key(list), Segment::Index(_)] => list == "preprocess" || list == "postprocess",
        _ => false,
    });
    let end = step.map_or(segments.len(), |at| at + 2);
    let Some((last, above)) = segments[..end].split_last() else { return };
    let parent = above.iter().try_fold(object, |value, segment| match segment {
        Segment::Key(key) => value.get_mut(key),
        Segment::Index(index) => value.get_mut(index),
    });
    match (parent, last) {
        (Some(Value::Array(items)), Segment::Index(index)) if step.is_some() => {
            if let Some(item) = items.get_mut(*index) {
                *item = json!({"op": "Drop", "columns": [format!("step-{index}")]});
            }
        }
        (Some(Value::Array(items)), Segment::Index(index)) if *index < items.len() => {
            items.remove(*index);
        }
        (Some(Value::Object(fields)), Segment::Key(key)) => {
            match stand_in(key) {
                Some(value) => fields.insert(key.clone(), value),
                None => fields.remove(key),
            };
        }
        _ => {}
    }
}

/// What stands for a field that has to be there.
fn stand_in(key: &str) -> Option<Value> {
    match key {
        "uri" => Some(json!("file:model")),
        "name" => Some(json!("stand-in")),
        _ => None,
    }
}
