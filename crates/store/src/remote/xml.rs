//! As much XML as object stores answer: elements by name, in order, without a tree. None of their answers nests a name in itself.

use std::borrow::Cow;

/// What lies in the first element `name`, its entities resolved.
pub(super) fn text(xml: &str, name: &str) -> Option<String> {
    elements(xml, name).next().map(|inner| unescape(inner).into_owned())
}

/// What lies in each element `name`.
pub(super) fn elements<'a>(xml: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let mut rest = xml;
    std::iter::from_fn(move || {
        loop {
            let open = rest.find('<')?;
            rest = &rest[open + 1..];
            let tag_end = rest.find('>')?;
            let tag = &rest[..tag_end];
            let is_it = tag.strip_prefix(name).is_some_and(|after| after.is_empty() || after.starts_with(char::is_whitespace));
            if !is_it {
                continue;
            }
            rest = &rest[tag_end + 1..];
            let close = rest.find(&format!("</{name}>"))?;
            let inner = &rest[..close];
            rest = &rest[close..];
            return Some(inner);
        }
    })
}

/// The five entities that XML has by itself, and characters by number. What is none of them stays as it is.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let entity = rest.find(';').map(|end| &rest[1..end]);
        match entity.and_then(|entity| Some((entity, character(entity)?))) {
            Some((entity, character)) => {
                plain.push(character);
                rest = &rest[entity.len() + 2..];
            }
            None => {
                plain.push('&');
                rest = &rest[1..];
            }
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_by_name() {
        let xml = "<?xml?><List xmlns=\"x\"><KeyCount>2</KeyCount><Item><Key>a&amp;b&#x41;&#66;&bogus;</Key><Tag/></Item>\
                   <Item kind=\"y\"><Key>c</Key></Item></List>";
        let items: Vec<_> = elements(xml, "Item").map(|item| text(item, "Key").unwrap()).collect();
        assert_eq!(items, ["a&bAB&bogus;", "c"]);
        assert_eq!(text(xml, "Tag"), None);
        assert_eq!(text("<Key>cut", "Key"), None);
        assert_eq!(text("<<<>", "Key"), None);
    }
}
