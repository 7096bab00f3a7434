//! Which of a file's tensors goes to which of the model's inputs.

use modelyard_wire::Tensor;

use super::{InputError, Named, fit};
use crate::client::TensorSpec;

/// A file's tensors, bound to the model's inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bound {
    /// The inputs.
    pub inputs: Vec<Named>,
    /// What was changed or left out on the way, in words.
    pub notes: Vec<String>,
    /// The outputs that the file asks for; all of them where it names none.
    pub outputs: Vec<String>,
}

/// A tensor without a name goes to the only input.
pub(super) fn bare(tensor: Tensor, specs: Option<&[TensorSpec]>) -> Result<Bound, InputError> {
    let spec = only(specs, "the file does not name its input")?;
    let mut notes = Vec::new();
    let inputs = vec![(spec.name.clone(), fit(spec, tensor, &mut notes)?)];
    Ok(Bound { inputs, notes, ..Bound::default() })
}

/// Arrays go to the inputs of the same names; a lone array goes to a lone input, whatever its name.
pub(super) fn arrays(arrays: Vec<Named>, specs: Option<&[TensorSpec]>) -> Result<Bound, InputError> {
    let Some(specs) = specs else { return Ok(Bound { inputs: arrays, notes: Vec::new(), ..Bound::default() }) };
    if let ([spec], [(name, _)]) = (specs, arrays.as_slice())
        && *name != spec.name
    {
        let mut notes = vec![format!("array '{name}' sent as input '{}'", spec.name)];
        let tensor = arrays.into_iter().next().map(|(_, tensor)| tensor);
        let tensor = tensor.ok_or_else(|| InputError::Content("no array".to_owned()))?;
        return Ok(Bound { inputs: vec![(spec.name.clone(), fit(spec, tensor, &mut notes)?)], notes, ..Bound::default() });
    }
    let (mut inputs, mut notes) = (Vec::new(), Vec::new());
    let held = names(arrays.iter().map(|(name, _)| name.as_str()));
    let mut arrays = arrays;
    for spec in specs {
        let Some(at) = arrays.iter().position(|(name, _)| *name == spec.name) else {
            return Err(InputError::Content(format!("no array for input '{}'; the file holds {held}", spec.name)));
        };
        let (name, tensor) = arrays.swap_remove(at);
        inputs.push((name, fit(spec, tensor, &mut notes)?));
    }
    if !arrays.is_empty() {
        notes.push(format!("left out: {}", names(arrays.iter().map(|(name, _)| name.as_str()))));
    }
    Ok(Bound { inputs, notes, ..Bound::default() })
}

/// The only input there is.
pub(super) fn only<'a>(specs: Option<&'a [TensorSpec]>, open: &str) -> Result<&'a TensorSpec, InputError> {
    match specs {
        None => Err(InputError::NeedsModel(open.to_owned())),
        Some([spec]) => Ok(spec),
        Some(specs) => Err(InputError::Content(format!(
            "{open}, and the model has {}: {}; use .npz, .csv or .json, which name them",
            specs.len(),
            names(specs.iter().map(|spec| spec.name.as_str()))
        ))),
    }
}

pub(super) fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}
