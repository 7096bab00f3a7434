//! The names of a classifier's classes.

/// Names of classes, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Labels {
    Ints(Vec<i64>),
    Texts(Vec<String>),
}

impl Labels {
    /// How many there are.
    pub(in crate::engine) const fn len(&self) -> usize {
        match self {
            Self::Ints(all) => all.len(),
            Self::Texts(all) => all.len(),
        }
    }
}
