//! JSON that carries numbers. A request's body is mostly one long list of them, so a document tree would cost more than the
//! model's run: a [`Cursor`] walks the bytes once, and [`Elements`] puts each number straight into the tensor's memory.
//!
//! RFC 8259, with one addition that the servers of the field share: the bare tokens `NaN`, `Infinity` and `-Infinity`.
//! Among floating point numbers `null` is read as NaN: a value that is missing.

mod cursor;
mod element;
mod elements;
mod error;
mod nesting;
mod number;
pub mod oip;
mod simple;
mod string;
#[cfg(target_arch = "x86_64")]
mod vectors;
pub mod write;

pub use cursor::{Cursor, Kind, MAX_DEPTH};
pub use elements::Elements;
pub use error::JsonError;
pub use nesting::Nesting;
pub use number::Number;

#[cfg(test)]
mod elements_tests;
#[cfg(test)]
mod oip_tests;
#[cfg(test)]
mod simple_tests;
