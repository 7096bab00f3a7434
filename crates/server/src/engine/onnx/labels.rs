//! The names of a classifier's classes.

/// Names of classes, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Labels {
    Ints(Vec<i64>),
    Texts(Vec<String>),
}

impl Labels {
    /// Classes that have no names but their numbers.
    pub(in crate::engine) fn numbered(count: usize) -> Self {
        Self::Ints((0..count).map(|class| i64::try_from(class).unwrap_or(0)).collect())
    }

    /// How many there are.
    pub(in crate::engine) const fn len(&self) -> usize {
        match self {
            Self::Ints(all) => all.len(),
            Self::Texts(all) => all.len(),
        }
    }
}
