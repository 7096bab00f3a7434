//! Numbers as the index of the bucket that they fall into.

use modelyard_wire::DataType;

use super::column::{Refused, Table};
use super::scope::Scope;
use super::{Action, Compiled};

struct Bucketise {
    slots: Vec<usize>,
    edges: Vec<f64>,
}

/// How many of the ascending `edges` are at or below each number. NaN comes after the last edge, as numpy sorts it.
pub(super) fn compile(scope: &mut Scope, columns: &[String], edges: &[f64]) -> Result<Compiled, String> {
    let ports = scope.all(columns)?;
    for port in &ports {
        port.numeric()?;
        scope.turn(&port.name, DataType::Int64, port.shape.clone())?;
    }
    Ok(Some(Box::new(Bucketise { slots: ports.iter().map(|port| port.slot).collect(), edges: edges.to_vec() })))
}

impl Action for Bucketise {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        for slot in &self.slots {
            for number in table.numbers(*slot) {
                let below = |edge: &f64| *edge <= *number || number.is_nan();
                *number = self.edges.partition_point(below) as f64;
            }
        }
        Ok(())
    }
}
