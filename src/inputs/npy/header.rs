//! What a `.npy` file says of its array before the elements: a Python dictionary with `descr`, `fortran_order` and `shape`.
//!
//! It is read here, and not by the library, which multiplies the sizes of any shape, and overflows.

use std::io::Read;

use npyz::TypeStr;

/// The longest header that is read: NumPy's own are below 10 kB.
const MOST_BYTES: u32 = 1 << 20;

/// The header of an array.
pub(super) struct Header {
    /// What its elements are; none where each is a structure.
    pub(super) kind: Option<TypeStr>,
    /// Whether the first index runs fastest.
    pub(super) fortran: bool,
    /// Its shape.
    pub(super) shape: Vec<usize>,
}

/// Why there is no header.
pub(super) enum Fault {
    /// It is none, or cannot be read.
    Broken(String),
    /// It can be read, and no array can be like that.
    Unfit(String),
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl Header {
    /// Reads it; the reader is then at the first element.
    pub(super) fn read(reader: &mut impl Read) -> Result<Self, Fault> {
        let mut start = [0; 8];
        let broken = |why: &str| Fault::Broken(why.to_owned());
        if reader.read_exact(&mut start).is_err() || !start.starts_with(b"\x93NUMPY") {
            return Err(broken("it does not start with \\x93NUMPY"));
        }
        let mut size = [0; 4];
        match start[6] {
            1 => reader.read_exact(&mut size[..2])?,
            2 | 3 => reader.read_exact(&mut size)?,
            version => return Err(Fault::Broken(format!("expected version 1, 2 or 3, found {version}"))),
        }
        let size = u32::from_le_bytes(size);
        if size > MOST_BYTES {
            return Err(Fault::Broken(format!("its header is longer than {MOST_BYTES} bytes")));
        }
        let mut text = String::new();
        reader.take(size.into()).read_to_string(&mut text)?;
        if text.len() as u64 != u64::from(size) {
            return Err(broken("it ends within its header"));
        }
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let items = items(text).ok_or_else(|| Fault::Broken("its header is no dictionary of Python".to_owned()))?;
        let find = |name: &str| {
            let item = items.iter().find(|(key, _)| *key == name);
            item.map(|(_, value)| *value).ok_or_else(|| Fault::Broken(format!("its header has no '{name}'")))
        };
        let descr = find("descr")?;
        let kind = match unquoted(descr) {
            Some(kind) => Some(kind.parse::<TypeStr>().map_err(|error| Fault::Broken(format!("dtype '{kind}': {error}")))?),
            None if descr.starts_with('[') => None,
            None => return Err(Fault::Broken(format!("expected a dtype, found {descr}"))),
        };
        let fortran = match find("fortran_order")? {
            "True" => true,
            "False" => false,
            other => return Err(Fault::Broken(format!("expected True or False as fortran_order, found {other}"))),
        };
        Ok(Self { kind, fortran, shape: shape(find("shape")?)? })
    }
}

/// The sizes of `(2, 3)`.
fn shape(text: &str) -> Result<Vec<usize>, Fault> {
    let inside = |open: char, close: char| text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    let unreadable = || Fault::Broken(format!("expected a shape such as (2, 3), found {text}"));
    let sizes = inside('(', ')').or_else(|| inside('[', ']')).ok_or_else(unreadable)?;
    let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
    sizes
        .map(|size| match size.parse() {
            Ok(size) => Ok(size),
            Err(_) if size.bytes().all(|digit| digit.is_ascii_digit()) => Err(Fault::Unfit(format!("shape {text} is too large"))),
            Err(_) => Err(unreadable()),
        })
        .collect()
}

/// The items of a dictionary, keys without their quotes, values as they are written. No value is opened: however deep lists are
/// in one another, nothing recurses.
fn items(text: &str) -> Option<Vec<(&str, &str)>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let (mut items, mut start) = (Vec::new(), 0);
    let (mut depth, mut quote) = (0_usize, None);
    for (at, one) in inner.char_indices().chain([(inner.len(), ',')]) {
        match (quote, one) {
            (Some(open), _) if open == one => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(one),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.checked_sub(1)?,
            (None, ',') if depth == 0 => {
                let item = inner[start..at].trim();
                start = at + 1;
                if !item.is_empty() {
                    let (key, value) = item.split_once(':')?;
                    items.push((unquoted(key.trim())?, value.trim()));
                }
            }
            (None, _) => {}
        }
    }
    (quote.is_none() && depth == 0).then_some(items)
}

fn unquoted(text: &str) -> Option<&str> {
    let inside = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('\'').or_else(|| inside('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_or_refused_with_the_reason() {
        let nested = format!("{{'descr': {}, 'fortran_order': False, 'shape': (1,)}}", "(".repeat(100_000));
        for (text, expected) in [
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n", Ok((Some("<f4"), false, vec![2, 3]))),
            ("{\"shape\": (), \"descr\": \"|S3\", \"fortran_order\": True}", Ok((Some("|S3"), true, vec![]))),
            (
                "{'descr': [('shape', '<f4'), ('a,b', '<i2', (2, 2))], 'fortran_order': False, 'shape': [5]}",
                Ok((None, false, vec![5])),
            ),
            ("{'descr': '<f4', 'fortran_order': False}", Err("no 'shape'")),
            ("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", Err("expected True or False")),
            ("{'descr': '<q9', 'fortran_order': False, 'shape': (1,)}", Err("dtype '<q9'")),
            ("{'descr': None, 'fortran_order': False, 'shape': (1,)}", Err("expected a dtype, found None")),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", Err("found (-1,)")),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", Err("too large")),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,}", Err("no dictionary")),
            ("[1]", Err("no dictionary")),
            (nested.as_str(), Err("no dictionary")),
        ] {
            match (Header::parse(text), expected) {
                (Ok(header), Ok((kind, fortran, shape))) => {
                    assert_eq!(header.kind.map(|kind| kind.to_string()).as_deref(), kind, "{text}");
                    assert_eq!((header.fortran, header.shape), (fortran, shape), "{text}");
                }
                (Err(Fault::Broken(why) | Fault::Unfit(why)), Err(words)) => assert!(why.contains(words), "{why} has no {words}"),
                (Ok(_), Err(words)) => panic!("{text} was read: {words}"),
                (Err(Fault::Broken(why) | Fault::Unfit(why)), Ok(_)) => panic!("{text}: {why}"),
            }
        }
    }
}
