//! The paths that a source file names, made absolute: `use` trees taken apart, `super` and `self` resolved, comments, strings
//! and test modules left out.

/// One piece of source that matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Name(String),
    /// `::`
    Separator,
    Other(char),
}

/// Every path of two segments or more in `source`, a file of the module `module` (`crate::local::run`); single names of `use` too.
pub(crate) fn paths(source: &str, module: &str) -> Vec<String> {
    let tokens = without_tests(&tokens(source));
    let mut found = Vec::new();
    // Inline modules around the current token: the depth of braces at which each began.
    let mut modules: Vec<(usize, String)> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            Token::Other('{') => depth += 1,
            Token::Other('}') => {
                depth -= 1;
                modules.retain(|(began, _)| *began < depth + 1);
            }
            Token::Name(word) if word == "mod" && matches!(tokens.get(at + 2), Some(Token::Other('{'))) => {
                if let Some(Token::Name(name)) = tokens.get(at + 1) {
                    modules.push((depth + 1, name.clone()));
                }
            }
            Token::Name(word) => {
                let starts = at == 0 || tokens[at - 1] != Token::Separator;
                let in_use = at > 0 && tokens[at - 1] == Token::Name("use".to_owned());
                let leads = tokens.get(at + 1) == Some(&Token::Separator);
                if starts && (leads || in_use) && word != "use" {
                    let here = modules.iter().fold(module.to_owned(), |outer, (_, inner)| format!("{outer}::{inner}"));
                    let mut raw = Vec::new();
                    at = tree(&tokens, at, "", &mut raw);
                    found.extend(raw.iter().map(|path| absolute(path, &here)));
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads one `use` tree (or a plain path) that starts at `at`; the position after it.
fn tree(tokens: &[Token], mut at: usize, prefix: &str, found: &mut Vec<String>) -> usize {
    let mut path = prefix.to_owned();
    loop {
        match tokens.get(at) {
            Some(Token::Name(name)) => {
                path = if path.is_empty() { name.clone() } else { format!("{path}::{name}") };
                at += 1;
            }
            Some(Token::Other('*')) => {
                path = format!("{path}::*");
                at += 1;
            }
            Some(Token::Other('{')) => {
                at += 1;
                while at < tokens.len() && tokens[at] != Token::Other('}') {
                    let before = at;
                    at = tree(tokens, at, &path, found);
                    // A comma, or `as name`.
                    while at < tokens.len() && !matches!(tokens[at], Token::Other(',' | '}')) {
                        at += 1;
                    }
                    at += usize::from(tokens.get(at) == Some(&Token::Other(',')));
                    if at == before {
                        break;
                    }
                }
                return at + 1;
            }
            _ => {
                found.push(path);
                return at;
            }
        }
        if tokens.get(at) != Some(&Token::Separator) {
            found.push(path);
            return at;
        }
        at += 1;
        // A turbofish ends the path.
        if !matches!(tokens.get(at), Some(Token::Name(_) | Token::Other('{' | '*'))) {
            found.push(path);
            return at;
        }
    }
}

/// `path` as seen from `module`.
fn absolute(path: &str, module: &str) -> String {
    let mut base: Vec<&str> = module.split("::").collect();
    let mut rest: Vec<&str> = path.split("::").collect();
    if !matches!(rest[0], "self" | "super") {
        return path.to_owned();
    }
    while let Some(first) = rest.first() {
        match *first {
            "self" => {}
            "super" => {
                base.pop();
            }
            _ => break,
        }
        rest.remove(0);
    }
    base.extend(rest);
    base.join("::")
}

/// Leaves out the blocks of `#[cfg(test)] mod ... { }`.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let attribute: Vec<Token> = self::tokens("#[cfg(test)]");
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let is_test = tokens[at..].starts_with(&attribute)
            && tokens.get(at + attribute.len()) == Some(&Token::Name("mod".to_owned()))
            && tokens.get(at + attribute.len() + 2) == Some(&Token::Other('{'));
        if !is_test {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        at += attribute.len() + 3;
        let mut depth = 1;
        while at < tokens.len() && depth > 0 {
            match tokens[at] {
                Token::Other('{') => depth += 1,
                Token::Other('}') => depth -= 1,
                _ => {}
            }
            at += 1;
        }
    }
    kept
}

/// The source without comments, strings and characters.
fn tokens(source: &str) -> Vec<Token> {
    let text: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (here, next) = (text[at], text.get(at + 1).copied().unwrap_or(' '));
        match here {
            '/' if next == '/' => at = position(&text, at, "\n"),
            '/' if next == '*' => at = position(&text, at, "*/") + 2,
            '"' => at = end_of_string(&text, at + 1),
            // A character, not a lifetime: one character (or an escape) between quotes.
            '\'' if next == '\\' => at = position(&text, at + 3, "'") + 1,
            '\'' if text.get(at + 2) == Some(&'\'') => at += 3,
            ':' if next == ':' => {
                tokens.push(Token::Separator);
                at += 2;
            }
            _ if here.is_alphabetic() || here == '_' => {
                let end = (at..text.len()).find(|i| !(text[*i].is_alphanumeric() || text[*i] == '_')).unwrap_or(text.len());
                let word: String = text[at..end].iter().collect();
                at = end;
                // r"...", r#"..."#, br#"..."#
                let hashes = text[end..].iter().take_while(|c| **c == '#').count();
                if matches!(word.as_str(), "r" | "br" | "cr") && text.get(end + hashes) == Some(&'"') {
                    let close = format!("\"{}", "#".repeat(hashes));
                    at = position(&text, end + hashes + 1, &close) + close.len();
                } else {
                    tokens.push(Token::Name(word));
                }
            }
            _ => {
                if !here.is_whitespace() {
                    tokens.push(Token::Other(here));
                }
                at += 1;
            }
        }
    }
    tokens
}

fn position(text: &[char], from: usize, what: &str) -> usize {
    let what: Vec<char> = what.chars().collect();
    (from..text.len()).find(|at| text[*at..].starts_with(&what)).unwrap_or(text.len())
}

fn end_of_string(text: &[char], mut at: usize) -> usize {
    while at < text.len() && text[at] != '"' {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

#[test]
fn paths_are_found_and_made_absolute() {
    let source = r##"
        //! crate::comment
        use std::{fmt::{self, Write as _}, io};
        use super::{deployment::Slot, *};
        use crate::cli as commands;
        use hyper;
        /* crate::block */
        fn f<'a>(x: &'a str) -> super::super::gateway::Route { let c = ':'; let s = "crate::string \" crate::more"; let r = r#"crate::raw"#; }
        fn g() { Vec::<u8>::new(); self::inner::h(); }
        mod inner { use super::super::Thing; pub fn h() { super::g() } }
        fn last() { crate::after::it() }
        #[cfg(test)]
        mod tests { use crate::test_only::X; fn y() {} }
        fn end() { crate::end::it() }
    "##;
    let found = paths(source, "crate::local::run");
    let expected = [
        "std::fmt::self",
        "std::fmt::Write",
        "std::io",
        "crate::local::deployment::Slot",
        "crate::local::*",
        "crate::cli",
        "hyper",
        "crate::gateway::Route",
        "Vec",
        "crate::local::run::inner::h",
        "crate::local::Thing",
        "crate::local::run::g",
        "crate::after::it",
        "crate::end::it",
    ];
    assert_eq!(found, expected);
}
