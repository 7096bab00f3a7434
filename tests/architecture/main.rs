//! The rules of the house, checked: which crate may depend on which, what each binary links, and which room may name which.
//!
//! What is linked is asked of cargo; who names whom is read from the sources. Test code is free of these rules.

#![allow(clippy::unwrap_used)]

mod crates;
mod paths;
mod rooms;
