//! What a model takes and gives, and the check of a request against it: the engine never sees a tensor that it did not declare.

use modelyard_wire::{DataType, Tensor};

use crate::fault::Fault;

/// What a model takes and gives, in the order of its graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The inputs.
    pub inputs: Vec<TensorSpec>,
    /// The outputs.
    pub outputs: Vec<TensorSpec>,
    /// Whether the first dimension of every input and output is one and the same free batch dimension.
    pub batched: bool,
}

/// One declared tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name in the graph.
    pub name: String,
    /// Its element type.
    pub datatype: DataType,
    /// Its dimensions, -1 where any size is taken.
    pub shape: Vec<i64>,
}

impl TensorSpec {
    /// Checks a tensor's datatype, rank and fixed dimensions.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` that names the input, what was found and what was expected.
    pub fn check(&self, tensor: &Tensor) -> Result<(), Fault> {
        let name = &self.name;
        if tensor.datatype() != self.datatype {
            return Err(Fault::invalid(format!(
                "input '{name}': expected datatype {}, found {}",
                self.datatype,
                tensor.datatype()
            )));
        }
        let fits = tensor.shape().len() == self.shape.len()
            && tensor.shape().iter().zip(&self.shape).all(|(found, want)| *want < 0 || i64::try_from(*found) == Ok(*want));
        if fits {
            return Ok(());
        }
        Err(Fault::invalid(format!(
            "input '{name}': expected shape {:?} (-1 is any size), found {:?}",
            self.shape,
            tensor.shape()
        )))
    }
}

impl Signature {
    /// The index of the input called `name`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` that lists the inputs there are.
    pub fn input(&self, name: &str) -> Result<usize, Fault> {
        position(&self.inputs, name, "input")
    }

    /// The index of the output called `name`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` that lists the outputs there are.
    pub fn output(&self, name: &str) -> Result<usize, Fault> {
        position(&self.outputs, name, "output")
    }

    /// Puts named tensors into the order of the graph and checks each.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for an unknown, a repeated or a missing input, a wrong datatype or shape, an empty tensor, or rows that
    /// differ between inputs of a batched model.
    pub fn bind<N: AsRef<str>>(&self, named: impl IntoIterator<Item = (N, Tensor)>) -> Result<Vec<Tensor>, Fault> {
        let mut slots: Vec<Option<Tensor>> = vec![None; self.inputs.len()];
        for (name, tensor) in named {
            let index = self.input(name.as_ref())?;
            self.inputs[index].check(&tensor)?;
            if slots[index].replace(tensor).is_some() {
                return Err(Fault::invalid(format!("input '{}' is given twice", name.as_ref())));
            }
        }
        let mut bound = Vec::with_capacity(slots.len());
        for (slot, spec) in slots.into_iter().zip(&self.inputs) {
            let Some(tensor) = slot else {
                return Err(Fault::invalid(format!("input '{}' is missing; the model takes {}", spec.name, names(&self.inputs))));
            };
            bound.push(tensor);
        }
        if self.batched {
            self.check_rows(&bound)?;
        }
        Ok(bound)
    }

    /// Whether so many names of classes can be those of an output's scores. What is known of that are rows of more scores than one: a
    /// yes or no has one, and of an output of more dimensions it is not known which of them has the classes.
    ///
    /// # Errors
    /// Says how many names and how many scores there are.
    pub fn check_classes(&self, names: usize) -> Result<(), String> {
        let rows = usize::from(self.batched);
        let mut others = Vec::new();
        for spec in self.outputs.iter().filter(|spec| names > 0 && spec.datatype != DataType::Bytes) {
            let sizes: Vec<i64> = spec.shape.iter().skip(rows).copied().filter(|size| *size != 1).collect();
            match sizes[..] {
                [] => {}
                [size] if size >= 0 && usize::try_from(size) != Ok(names) => others.push(format!("'{}' has {size}", spec.name)),
                _ => return Ok(()),
            }
        }
        if others.is_empty() {
            return Ok(());
        }
        Err(format!("found {names} names, expected as many as an output has scores: {}", others.join(", ")))
    }

    /// Every input of a batched model has the same number of rows.
    fn check_rows(&self, bound: &[Tensor]) -> Result<(), Fault> {
        let Some(rows) = bound.first().map(|tensor| tensor.shape()[0]) else { return Ok(()) };
        for (tensor, spec) in bound.iter().zip(&self.inputs) {
            if tensor.shape()[0] != rows {
                let (first, found) = (&self.inputs[0].name, tensor.shape()[0]);
                return Err(Fault::invalid(format!("input '{}' has {found} rows, input '{first}' has {rows}", spec.name)));
            }
        }
        Ok(())
    }
}

fn position(specs: &[TensorSpec], name: &str, what: &str) -> Result<usize, Fault> {
    specs.iter().position(|spec| spec.name == name).ok_or_else(|| {
        let shown: String = name.chars().take(80).collect();
        Fault::invalid(format!("unknown {what} '{shown}'; the model has {}", names(specs)))
    })
}

fn names(specs: &[TensorSpec]) -> String {
    specs.iter().map(|spec| format!("'{}'", spec.name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature() -> Signature {
        let spec =
            |name: &str, shape: &[i64]| TensorSpec { name: name.to_owned(), datatype: DataType::Fp32, shape: shape.to_vec() };
        Signature { inputs: vec![spec("a", &[-1, 2]), spec("b", &[-1])], outputs: vec![spec("y", &[-1])], batched: true }
    }

    fn tensor(shape: &[usize]) -> Tensor {
        Tensor::from_f32(shape.to_vec(), &vec![0.0; shape.iter().product()]).unwrap()
    }

    #[test]
    fn inputs_are_ordered() {
        let bound = signature().bind([("b", tensor(&[3])), ("a", tensor(&[3, 2]))]).unwrap();
        assert_eq!(bound[0].shape(), [3, 2]);
        assert_eq!(bound[1].shape(), [3]);
    }

    #[test]
    fn names_of_classes_are_as_many_as_scores() {
        let of = |shapes: &[&[i64]], batched| {
            let outputs =
                shapes.iter().map(|shape| TensorSpec { name: "y".to_owned(), datatype: DataType::Fp32, shape: shape.to_vec() });
            Signature { inputs: Vec::new(), outputs: outputs.collect(), batched }
        };
        for (shapes, batched, names) in [
            (&[&[-1_i64, 10][..]][..], true, 10),
            (&[&[-1, 10]], true, 0),
            (&[&[-1], &[-1, 3]], true, 3),
            (&[&[-1, 4], &[-1, 80]], true, 80),
            (&[&[-1, -1]], true, 2),
            (&[&[-1, 1]], true, 2),
            (&[&[-1]], true, 2),
            (&[&[-1, 21, 64, 64]], true, 21),
            (&[&[1, 84, 8400]], false, 80),
            (&[&[1, 10]], false, 10),
            (&[&[10]], false, 10),
        ] {
            assert_eq!(of(shapes, batched).check_classes(names), Ok(()), "{shapes:?} {names}");
        }
        for (shapes, batched) in [(&[&[-1_i64, 10][..]][..], true), (&[&[-1], &[-1, 10]], true), (&[&[1, 10]], false)] {
            let wrong = of(shapes, batched).check_classes(2).unwrap_err();
            assert!(wrong.ends_with("found 2 names, expected as many as an output has scores: 'y' has 10"), "{wrong}");
        }
    }

    #[test]
    fn each_fault_says_what_was_found() {
        let ints = Tensor::from_i64(vec![3], &[1, 2, 3]).unwrap();
        for (inputs, message) in [
            (vec![("c", tensor(&[1]))], "unknown input 'c'; the model has 'a', 'b'"),
            (vec![("b", tensor(&[3]))], "input 'a' is missing; the model takes 'a', 'b'"),
            (vec![("b", tensor(&[3])), ("b", tensor(&[3]))], "input 'b' is given twice"),
            (vec![("b", ints)], "input 'b': expected datatype FP32, found INT64"),
            (vec![("a", tensor(&[3, 4]))], "input 'a': expected shape [-1, 2] (-1 is any size), found [3, 4]"),
            (vec![("a", tensor(&[3, 2])), ("b", tensor(&[2]))], "input 'b' has 2 rows, input 'a' has 3"),
        ] {
            assert_eq!(signature().bind(inputs).unwrap_err().message, message);
        }
    }
}
