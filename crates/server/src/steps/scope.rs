//! The columns at one place of the list, while it is compiled: their names, datatypes, shapes, and where they will lie.

use modelyard_wire::DataType;

use crate::signature::TensorSpec;

/// A column as it is known before any request.
#[derive(Clone, Debug)]
pub(super) struct Port {
    pub(super) name: String,
    pub(super) slot: usize,
    pub(super) datatype: DataType,
    pub(super) shape: Vec<i64>,
    /// Whether it goes around the model, to the steps after it.
    pub(super) beside: bool,
}

impl Port {
    /// Values of a row; `None` where any number is taken.
    pub(super) fn width(&self) -> Option<usize> {
        self.shape.iter().skip(1).try_fold(1_usize, |all, dim| all.checked_mul(usize::try_from(*dim).ok()?))
    }

    pub(super) fn spec(&self) -> TensorSpec {
        TensorSpec { name: self.name.clone(), datatype: self.datatype, shape: self.shape.clone() }
    }

    /// A fault of this column.
    pub(super) fn fault(&self, message: impl std::fmt::Display) -> String {
        format!("column '{}': {message}", self.name)
    }

    /// Refuses what is no number.
    pub(super) fn numeric(&self) -> Result<&Self, String> {
        if self.datatype == DataType::Bytes { Err(self.fault("expected numbers, it is BYTES")) } else { Ok(self) }
    }

    /// Refuses rows of several values.
    pub(super) fn single(&self) -> Result<&Self, String> {
        if self.width() == Some(1) {
            Ok(self)
        } else {
            Err(self.fault(format!("expected one value a row, its shape is {:?}", self.shape)))
        }
    }
}

/// The columns at one place of the list.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) ports: Vec<Port>,
    /// What can be looked at, and does not leave: the model's inputs, after it.
    aside: Vec<Port>,
    slots: usize,
}

impl Scope {
    /// How many slots there are in all.
    pub(super) const fn slots(&self) -> usize {
        self.slots
    }

    pub(super) fn index(&self, name: &str) -> Result<usize, String> {
        self.ports.iter().position(|port| port.name == name).ok_or_else(|| {
            let known: Vec<String> = self.ports.iter().take(20).map(|port| format!("'{}'", port.name)).collect();
            format!(
                "column '{name}': it is not here; here are {}",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            )
        })
    }

    pub(super) fn port(&self, name: &str) -> Result<&Port, String> {
        self.index(name).map(|index| &self.ports[index])
    }

    /// The column of that name, or what lies aside.
    pub(super) fn seen(&self, name: &str) -> Result<&Port, String> {
        self.port(name).or_else(|here| self.aside.iter().find(|port| port.name == name).ok_or(here))
    }

    /// Something to be looked at by that name.
    pub(super) fn lay_aside(&mut self, spec: &TensorSpec) {
        let port =
            Port { name: spec.name.clone(), slot: self.slots, datatype: spec.datatype, shape: spec.shape.clone(), beside: false };
        self.slots += 1;
        self.aside.push(port);
    }

    /// The columns of those names.
    pub(super) fn all(&self, names: &[String]) -> Result<Vec<Port>, String> {
        names.iter().map(|name| self.port(name).cloned()).collect()
    }

    /// A new column at the end.
    pub(super) fn add(&mut self, name: &str, datatype: DataType, shape: Vec<i64>) -> Result<usize, String> {
        if self.ports.iter().any(|port| port.name == name) {
            return Err(format!("column '{name}': there is one of this name already"));
        }
        let slot = self.slots;
        self.slots += 1;
        self.ports.push(Port { name: name.to_owned(), slot, datatype, shape, beside: false });
        Ok(slot)
    }

    /// A new column that goes around the model, to the steps after it.
    pub(super) fn beside(&mut self, name: &str, datatype: DataType, shape: Vec<i64>) -> Result<usize, String> {
        let slot = self.add(name, datatype, shape)?;
        self.ports.iter_mut().filter(|port| port.slot == slot).for_each(|port| port.beside = true);
        Ok(slot)
    }

    /// A column becomes another kind in its place.
    pub(super) fn turn(&mut self, name: &str, datatype: DataType, shape: Vec<i64>) -> Result<(), String> {
        let index = self.index(name)?;
        (self.ports[index].datatype, self.ports[index].shape) = (datatype, shape);
        Ok(())
    }

    /// A column leaves, with what it held.
    pub(super) fn remove(&mut self, name: &str) -> Result<Port, String> {
        let index = self.index(name)?;
        Ok(self.ports.remove(index))
    }
}
