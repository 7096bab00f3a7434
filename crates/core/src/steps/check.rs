//! What the types of a step do not say: numbers that fit one another, and names that are needed.

use std::collections::HashSet;

use super::{Datatype, Otherwise, Step, Unknown};

/// A step that cannot be taken, whatever the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Wrong {
    /// The field, such as `scale`.
    pub field: &'static str,
    /// What was found, and what was expected.
    pub message: String,
}

pub(super) fn wrong<T>(field: &'static str, message: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { field, message: message.into() })
}

impl Step {
    /// Checks what can be checked without the model.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn check(&self) -> Result<(), Wrong> {
        distinct("columns", self.columns())?;
        if self.columns().is_empty() {
            return wrong("columns", format!("{} needs a column, found none", self.op()));
        }
        distinct(if matches!(self, Self::DateParts { .. }) { "parts" } else { "to" }, &self.made())?;
        self.names()?;
        self.numbers()?;
        self.rules()?;
        self.media()?;
        self.categories()
    }

    /// As many names in `to` as there are results.
    fn names(&self) -> Result<(), Wrong> {
        let (columns, found) = (self.columns().len(), self.made().len());
        let expected = match self {
            Self::Rename { .. } | Self::Pool { .. } | Self::Argmax { .. } | Self::Labels { .. } | Self::Threshold { .. } => {
                columns..=columns
            }
            Self::Expect { otherwise: Some(Otherwise::Flag), .. } => columns..=columns,
            Self::Expect { .. } if found > 0 => return wrong("to", "it names flags, which otherwise: Flag alone makes"),
            Self::Concat { .. } => 1..=1,
            Self::Tokenize { .. } if columns > 2 => {
                return wrong("columns", format!("expected one, or two of pairs of texts; found {columns}"));
            }
            Self::Tokenize { .. } => 1..=3,
            Self::TopK { .. } if columns != 1 => return wrong("columns", format!("expected one, found {columns}")),
            Self::TopK { .. } => 2..=3,
            Self::Image { .. } if found > 0 => columns..=columns,
            Self::Boxes { .. } if columns > 2 => {
                return wrong("columns", format!("expected one, or two of boxes and scores; found {columns}"));
            }
            Self::Boxes { .. } => 4..=5,
            _ => return Ok(()),
        };
        if expected.contains(&found) {
            return Ok(());
        }
        let many = match self {
            Self::Concat { .. } => "one name".to_owned(),
            Self::Tokenize { .. } => "one to three names, of tokens, mask and types".to_owned(),
            Self::TopK { .. } => "two names, of values and indices, or three, with classes".to_owned(),
            Self::Boxes { .. } => {
                "four names, of boxes, scores, classes and how many, or five, with the classes' names".to_owned()
            }
            _ => format!("as many names as there are columns, {columns}"),
        };
        wrong("to", format!("expected {many}; found {found}"))
    }

    fn numbers(&self) -> Result<(), Wrong> {
        match self {
            Self::Standardise { mean: center, scale, .. } | Self::Robust { center, scale, .. } => {
                let name = if matches!(self, Self::Robust { .. }) { "center" } else { "mean" };
                some(name, center)?;
                some("scale", scale)?;
                match scale.iter().position(|one| *one == 0.0) {
                    Some(at) => wrong("scale", format!("[{at}] is 0, by which nothing is divided; write 1 to leave it as it is")),
                    None => Ok(()),
                }
            }
            Self::Denormalise { mean, scale, .. } => some("mean", mean).and_then(|()| some("scale", scale)),
            Self::MinMax { min, max, low, high, .. } => {
                some("min", min)?;
                some("max", max)?;
                below((min, max), |min, max| min < max, "less than")?;
                let (low, high) = (low.unwrap_or(0.0), high.unwrap_or(1.0));
                if low >= high { wrong("low", format!("expected less than high, {high}; found {low}")) } else { Ok(()) }
            }
            Self::Clip { min, max, .. } if min.is_empty() && max.is_empty() => {
                wrong("min", "expected min, max or both, found neither")
            }
            Self::Clip { min, max, .. } if !min.is_empty() && !max.is_empty() => {
                below((min, max), |min, max| min <= max, "at most")
            }
            Self::Bucketise { edges, .. } => {
                some("edges", edges)?;
                match edges.windows(2).position(|pair| pair[0] >= pair[1]) {
                    Some(at) => wrong("edges", format!("[{}] is not greater than the one before it", at + 1)),
                    None => Ok(()),
                }
            }
            Self::Input { width: Some(width), .. } if *width < 1 => wrong("width", format!("expected 1 or more, found {width}")),
            Self::DateParts { parts, .. } if parts.is_empty() => wrong("parts", "expected a part, found none"),
            Self::Hash { buckets, .. } if *buckets < 1 => wrong("buckets", format!("expected 1 or more, found {buckets}")),
            Self::TopK { k, .. } if *k < 1 => wrong("k", format!("expected 1 or more, found {k}")),
            Self::Concat { datatype: Some(Datatype::Bytes), .. } => {
                wrong("datatype", "Concat puts numbers side by side, not BYTES")
            }
            _ => Ok(()),
        }
    }

    /// Lists of known values, numbers or texts.
    fn categories(&self) -> Result<(), Wrong> {
        let (values, texts) = match self {
            Self::OneHot { values, texts, .. } | Self::Ordinal { values, texts, .. } => (values, texts),
            Self::Fill { columns, values, texts } => {
                one_of(values, texts)?;
                return match (texts.len(), columns.len()) {
                    (found, columns) if found > 1 && found != columns => {
                        wrong("texts", format!("expected one text, or one for each column, {columns}; found {found}"))
                    }
                    _ => Ok(()),
                };
            }
            _ => return Ok(()),
        };
        one_of(values, texts)?;
        distinct("texts", texts)?;
        let mut seen = HashSet::new();
        if let Some(at) = values.iter().position(|value| !seen.insert(value.to_bits())) {
            return wrong("values", format!("[{at}] is there twice"));
        }
        match self {
            Self::OneHot { unknown: Some(Unknown::Value), .. } => wrong("unknown", "OneHot has Error and Ignore, found Value"),
            Self::Ordinal { unknown: Some(Unknown::Ignore), .. } => wrong("unknown", "Ordinal has Error and Value, found Ignore"),
            Self::Ordinal { unknown: Some(Unknown::Value), unknown_value: None, .. } => {
                wrong("unknownValue", "unknown: Value needs it")
            }
            Self::Ordinal { unknown: None | Some(Unknown::Error), unknown_value: Some(_), .. } => {
                wrong("unknownValue", "it is used with unknown: Value alone")
            }
            _ => Ok(()),
        }
    }
}

fn some(field: &'static str, numbers: &[f64]) -> Result<(), Wrong> {
    if numbers.is_empty() { wrong(field, "expected a number, found none") } else { Ok(()) }
}

fn one_of(values: &[f64], texts: &[String]) -> Result<(), Wrong> {
    match (values.is_empty(), texts.is_empty()) {
        (true, true) => wrong("values", "expected values or texts, found neither"),
        (false, false) => wrong("texts", "expected one of values and texts, found both"),
        _ => Ok(()),
    }
}

/// Each of `min` against its `max`; a single one counts for all.
pub(super) fn below((min, max): (&[f64], &[f64]), fits: impl Fn(f64, f64) -> bool, words: &str) -> Result<(), Wrong> {
    for at in 0..min.len().max(max.len()) {
        let (low, high) = (min.get(at).or(min.first()), max.get(at).or(max.first()));
        if let (Some(low), Some(high)) = (low, high)
            && !fits(*low, *high)
        {
            return wrong("min", format!("[{at}] is {low}; expected {words} max, {high}"));
        }
    }
    Ok(())
}

pub(super) fn distinct(field: &'static str, names: &[String]) -> Result<(), Wrong> {
    let mut seen = HashSet::new();
    for (at, name) in names.iter().enumerate() {
        if !seen.insert(name) {
            return wrong(field, format!("[{at}]: '{name}' is there twice"));
        }
        if name.is_empty() && field != "texts" {
            return wrong(field, format!("[{at}]: expected a name, found ''"));
        }
    }
    Ok(())
}
