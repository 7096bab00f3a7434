//! Parameters of requests and tensors: a name, and a string, a number or a bool.

use std::borrow::Cow;

use super::BodyError;
use crate::json::{Cursor, Kind, Number};

/// A parameter's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter<'a> {
    /// `true` or `false`.
    Bool(bool),
    /// Any number, and as it is written.
    Number(Number, &'a str),
    /// A string.
    Text(Cow<'a, str>),
}

impl Parameter<'_> {
    /// A bool.
    ///
    /// # Errors
    /// Names the parameter and what it is instead.
    pub fn as_bool(&self, name: &str) -> Result<bool, BodyError> {
        match self {
            Self::Bool(value) => Ok(*value),
            other => Err(other.mismatch(name, "true or false")),
        }
    }

    /// An integer of 0 or more.
    ///
    /// # Errors
    /// Names the parameter and what it is instead.
    pub fn as_u64(&self, name: &str) -> Result<u64, BodyError> {
        match self {
            Self::Number(Number::Uint(value), _) => Ok(*value),
            Self::Number(Number::Int(value), _) if *value >= 0 => Ok(value.unsigned_abs()),
            other => Err(other.mismatch(name, other.wanted())),
        }
    }

    /// Who gives a whole number that is too large knows that it is whole.
    fn wanted(&self) -> &'static str {
        match self {
            Self::Number(Number::Float(value), text) if *value > 0.0 && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                "an integer of 0 or more, at most 18446744073709551615"
            }
            _ => "an integer of 0 or more",
        }
    }

    fn mismatch(&self, name: &str, expected: &str) -> BodyError {
        let found = match self {
            Self::Bool(value) => value.to_string(),
            Self::Number(_, text) if text.len() > SHOWN => format!("{}...", &text[..SHOWN]),
            Self::Number(_, text) => (*text).to_owned(),
            Self::Text(text) => format!("the string '{}'", text.chars().take(SHOWN).collect::<String>()),
        };
        BodyError::Invalid(format!("parameter '{name}': expected {expected}, found {found}"))
    }
}

/// Characters of a value in a message at most.
const SHOWN: usize = 40;

fn number<'a>(cursor: &mut Cursor<'a>) -> Result<Parameter<'a>, BodyError> {
    let value = cursor.clone().number()?;
    // A number is of ASCII.
    Ok(Parameter::Number(value, std::str::from_utf8(cursor.raw_value()?).unwrap_or_default()))
}

/// Reads an object of parameters, and hands each to `each`.
pub(super) fn read<'a>(
    cursor: &mut Cursor<'a>,
    mut each: impl FnMut(Cow<'a, str>, Parameter<'a>) -> Result<(), BodyError>,
) -> Result<(), BodyError> {
    cursor.object(|name, cursor| {
        let value = match cursor.kind()? {
            Kind::Bool => Parameter::Bool(cursor.bool()?),
            Kind::Number => number(cursor)?,
            Kind::String => Parameter::Text(cursor.string()?),
            Kind::Object | Kind::Array | Kind::Null => {
                return Err(cursor.unexpected("a string, a number, true or false as a parameter").into());
            }
        };
        each(name, value)
    })
}

/// Reads an object of parameters into a list; each may be given once.
pub(super) fn collect<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<(Cow<'a, str>, Parameter<'a>)>, BodyError> {
    let mut all: Vec<(Cow<'a, str>, Parameter<'a>)> = Vec::new();
    read(cursor, |name, value| {
        // A few dozen at most are compared; past that a client's list is no longer one of parameters.
        if all.len() >= MAX_PARAMETERS {
            return Err(BodyError::Invalid(format!("more than {MAX_PARAMETERS} parameters")));
        }
        if all.iter().any(|(earlier, _)| *earlier == name) {
            return Err(BodyError::Invalid(format!("parameter '{name}' is given twice")));
        }
        all.push((name, value));
        Ok(())
    })?;
    Ok(all)
}

const MAX_PARAMETERS: usize = 256;
