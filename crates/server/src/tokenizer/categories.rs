//! What kind a character is, by Unicode's general categories: for BERT's rules as of the version that the published tokenizers has
//! (`categories.txt`; tests/tokenizers/categories.py writes it), for letters and numbers as the standard library has them.

use std::sync::LazyLock;

use unicode_normalization::char::is_combining_mark;

/// What characters are found to be.
#[derive(Default)]
struct Table {
    control: Vec<(u32, u32)>,
    accent: Vec<(u32, u32)>,
    mark: Vec<(u32, u32)>,
    punctuation: Vec<(u32, u32)>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table::default();
    let mut list = &mut Vec::new();
    for word in include_str!("categories.txt").split_whitespace() {
        match word {
            "control" => list = &mut table.control,
            "accent" => list = &mut table.accent,
            "mark" => list = &mut table.mark,
            "punctuation" => list = &mut table.punctuation,
            range => {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let code = |text| u32::from_str_radix(text, 16).unwrap_or(0);
                list.push((code(first), code(last)));
            }
        }
    }
    table
});

fn within(ranges: &[(u32, u32)], one: char) -> bool {
    let code = u32::from(one);
    let at = ranges.partition_point(|(_, last)| *last < code);
    ranges.get(at).is_some_and(|(first, _)| *first <= code)
}

/// What BERT's cleaning leaves out, besides the replacement character.
pub(super) fn is_control(one: char) -> bool {
    within(&TABLE.control, one)
}

/// A mark that takes no room: category Mn.
pub(super) fn is_accent(one: char) -> bool {
    within(&TABLE.accent, one)
}

/// A mark: categories Mn, Mc and Me.
pub(super) fn is_mark(one: char) -> bool {
    within(&TABLE.mark, one)
}

/// ASCII's punctuation, and category P.
pub(super) fn is_punctuation(one: char) -> bool {
    if one.is_ascii() { one.is_ascii_punctuation() } else { within(&TABLE.punctuation, one) }
}

/// Category N.
pub(super) fn is_number(one: char) -> bool {
    one.is_numeric()
}

/// Category L: what is alphabetic, less numbers, marks, and symbols that are letters in circles and squares.
pub(super) fn is_letter(one: char) -> bool {
    if one.is_ascii() {
        return one.is_ascii_alphabetic();
    }
    let enclosed = matches!(one, '\u{24b6}'..='\u{24e9}' | '\u{1f130}'..='\u{1f149}' | '\u{1f150}'..='\u{1f169}' | '\u{1f170}'..='\u{1f189}');
    one.is_alphabetic() && !one.is_numeric() && !enclosed && !is_combining_mark(one)
}

/// What is written together with others of its kind: ideographs of Chinese, as BERT's rules list them.
pub(super) const fn is_ideograph(one: char) -> bool {
    matches!(one,
        '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{20000}'..='\u{2a6df}' | '\u{2a700}'..='\u{2b73f}'
        | '\u{2b740}'..='\u{2b81f}' | '\u{2b920}'..='\u{2ceaf}' | '\u{f900}'..='\u{faff}' | '\u{2f800}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_unicodes() {
        for (one, kinds) in [
            ('a', "letter"),
            ('\u{e9}', "letter"),
            ('\u{4e2d}', "letter ideograph"),
            ('7', "number"),
            ('\u{bd}', "number"),
            ('\u{2160}', "number"),
            ('\u{24b6}', ""),
            ('\u{301}', "accent mark"),
            ('\u{93e}', "mark"),
            ('$', "punctuation"),
            ('\u{a3}', ""),
            ('\u{3002}', "punctuation"),
            ('\u{200d}', "control"),
            (' ', ""),
        ] {
            let all = [
                ("letter", is_letter(one)),
                ("number", is_number(one)),
                ("accent", is_accent(one)),
                ("mark", is_mark(one)),
                ("punctuation", is_punctuation(one)),
                ("control", is_control(one)),
                ("ideograph", is_ideograph(one)),
            ];
            let found: Vec<&str> = all.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
            assert_eq!(found.join(" "), kinds, "{one:?}");
        }
    }
}
