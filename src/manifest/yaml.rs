//! YAML text to values that know where they were written.
//!
//! The stream is cut at its `---` lines before it is parsed, so a slip in one document does not hide those of the next. Scalars
//! are read as kubectl reads them (`yes` is a boolean), duplicate keys are kept and reported with their places.

use modelyard_core::schema::{Path, Segment};
use serde_json::{Map, Value};
use serde_yaml::Location;
use serde_yaml::options::DuplicateKeyPolicy;

use super::words;

mod read;

/// A place in a file: line and column count from 1, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Line.
    pub(super) line: usize,
    /// Column.
    pub(super) column: usize,
    /// Characters from there; at least one.
    pub(super) length: usize,
}

impl Span {
    fn of(location: Location) -> Self {
        let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX).max(1);
        Self { line: number(location.line()), column: number(location.column()), length: number(location.span().len()) }
    }

    const fn down(self, lines: usize) -> Self {
        Self { line: self.line + lines, ..self }
    }
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    span: Span,
    content: Content,
}

#[derive(Clone, Debug, PartialEq)]
enum Content {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug, PartialEq)]
struct Key {
    name: String,
    span: Span,
}

/// What is wrong with the text itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    /// Where, as far as it is known.
    pub(super) span: Option<Span>,
    /// The path of the field, where one is at fault.
    pub(super) path: Path,
    /// What is wrong.
    pub(super) message: String,
}

/// A document and what is wrong with its text; without a node where it cannot be read at all.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document {
    pub(super) node: Option<Node>,
    pub(super) faults: Vec<Fault>,
}

/// The documents of a text, without the empty ones.
pub(super) fn documents(text: &str) -> Vec<Document> {
    let mut documents = Vec::new();
    for (line, chunk) in chunks(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        // What aliases repeat stays small: nobody repeats ten thousand values in a manifest, but a bomb does.
        let options = serde_yaml::options! {
            duplicate_keys: DuplicateKeyPolicy::PassThrough,
            alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: 10_000 },
        };
        match serde_yaml::from_multiple_with_options::<Node>(chunk, options) {
            Ok(parsed) => documents.extend(parsed.into_iter().map(|mut node| {
                let mut faults = Vec::new();
                node.move_down(line);
                node.duplicates(&Path::root(), &mut faults);
                Document { node: Some(node), faults }
            })),
            Err(error) => {
                let span = error.location().map(|location| Span { length: 1, ..Span::of(location) }.down(line));
                let fault = Fault { span, path: Path::root(), message: reason(&error) };
                documents.push(Document { node: None, faults: vec![fault] });
            }
        }
    }
    documents
}

/// The error without its own place and excerpt: ours say both.
fn reason(error: &serde_yaml::Error) -> String {
    let text = error.without_snippet().to_string();
    let first = text.lines().next().unwrap_or_default();
    let end = [" at line ", " (line "].iter().filter_map(|mark| first.rfind(mark)).min().unwrap_or(first.len());
    words::of_yaml(first[..end].trim_start_matches("error: "))
}

/// The stream's documents with the number of lines before each.
fn chunks(text: &str) -> Vec<(usize, &str)> {
    let mut chunks = Vec::new();
    let (mut start, mut first_line, mut offset) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let separates = line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if separates && offset > start {
            chunks.push((first_line, &text[start..offset]));
            (start, first_line) = (offset, number);
        }
        offset += line.len();
    }
    chunks.push((first_line, &text[start..]));
    chunks
}

impl Node {
    /// Where the value is written.
    pub(super) const fn span(&self) -> Span {
        self.span
    }

    /// The value alone; of duplicate keys, the last.
    pub(super) fn value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => Value::Array(items.iter().map(Self::value).collect()),
            Content::Map(fields) => {
                Value::Object(fields.iter().map(|(key, node)| (key.name.clone(), node.value())).collect::<Map<_, _>>())
            }
        }
    }

    /// The text of a field at the top.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match &self.field(name)?.1.content {
            Content::Scalar(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The items of a list field at the top.
    pub(super) fn items(&self, name: &str) -> Option<&[Self]> {
        match &self.field(name)?.1.content {
            Content::List(items) => Some(items),
            _ => None,
        }
    }

    fn field(&self, name: &str) -> Option<&(Key, Self)> {
        match &self.content {
            Content::Map(fields) => fields.iter().find(|(key, _)| key.name == name),
            _ => None,
        }
    }

    /// Whether something is written at the path.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.walk(path).1 == path.segments().len()
    }

    /// Where the value of a path is written: a scalar itself, a list or map by its key. Of what is not written, the nearest
    /// place above it.
    pub(super) fn place(&self, path: &Path) -> Span {
        self.walk(path).0
    }

    /// Where the key of a path is written.
    pub(super) fn key_place(&self, path: &Path) -> Span {
        let Some((Segment::Key(name), parent)) = path.segments().last().zip(path.parent()) else { return self.place(path) };
        let mut node = self;
        for segment in parent.segments() {
            match node.step(segment) {
                Some((_, below)) => node = below,
                None => return self.place(path),
            }
        }
        node.field(name).map_or_else(|| self.place(path), |(key, _)| key.span)
    }

    fn walk(&self, path: &Path) -> (Span, usize) {
        let (mut node, mut place) = (self, self.span);
        for (depth, segment) in path.segments().iter().enumerate() {
            let Some((key, below)) = node.step(segment) else { return (place, depth) };
            place = match (&below.content, key) {
                (Content::Scalar(_), _) | (_, None) => below.span,
                (_, Some(key)) => key.span,
            };
            node = below;
        }
        (place, path.segments().len())
    }

    fn step(&self, segment: &Segment) -> Option<(Option<&Key>, &Self)> {
        match (segment, &self.content) {
            (Segment::Key(name), Content::Map(_)) => self.field(name).map(|(key, node)| (Some(key), node)),
            (Segment::Index(index), Content::List(items)) => items.get(*index).map(|node| (None, node)),
            _ => None,
        }
    }

    fn move_down(&mut self, lines: usize) {
        self.span = self.span.down(lines);
        match &mut self.content {
            Content::Scalar(_) => {}
            Content::List(items) => items.iter_mut().for_each(|item| item.move_down(lines)),
            Content::Map(fields) => {
                for (key, node) in fields {
                    key.span = key.span.down(lines);
                    node.move_down(lines);
                }
            }
        }
    }

    fn duplicates(&self, path: &Path, faults: &mut Vec<Fault>) {
        match &self.content {
            Content::Scalar(_) => {}
            Content::List(items) => {
                items.iter().enumerate().for_each(|(index, item)| item.duplicates(&path.index(index), faults));
            }
            Content::Map(fields) => {
                let mut seen = std::collections::HashMap::new();
                for (key, node) in fields {
                    let below = path.key(&key.name);
                    let first = *seen.entry(&key.name).or_insert(key.span);
                    if first != key.span {
                        let message = format!("Duplicate key {:?}: it is written on line {} already", key.name, first.line);
                        faults.push(Fault { span: Some(key.span), path: below.clone(), message });
                    }
                    node.duplicates(&below, faults);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn documents(text: &str) -> (Vec<Node>, Vec<Fault>) {
        let documents = super::documents(text);
        let faults = documents.iter().flat_map(|one| one.faults.clone()).collect();
        (documents.into_iter().filter_map(|one| one.node).collect(), faults)
    }

    fn place(text: &str, path: &str) -> (usize, usize, usize) {
        let (nodes, faults) = documents(text);
        assert_eq!(faults, []);
        let span = nodes.last().unwrap().place(&Path::parse(path));
        (span.line, span.column, span.length)
    }

    #[test]
    fn values_know_their_places() {
        let text = "a: 1\n---\n# two\nb:\n  c: [x, 'yé']\n  d:\n    e: \"z\"\n";
        assert_eq!(place(text, "b"), (4, 1, 1));
        assert_eq!(place(text, "b.c[1]").0, 5);
        assert_eq!(place(text, "b.c[1]").1, 10);
        assert_eq!(place(text, "b.d.e"), (7, 8, 3));
        assert_eq!(place(text, "b.d.missing"), (6, 3, 1));
        assert_eq!(documents(text).0[1].value(), json!({"b": {"c": ["x", "yé"], "d": {"e": "z"}}}));
    }

    #[test]
    fn scalars_are_those_of_kubectl() {
        let (nodes, faults) = documents("a: yes\nb: 'yes'\nc: 1.5\nd: 0x10\ne: ~\nf: 1e3\n1: one\non: 0\n");
        assert_eq!(faults, []);
        assert_eq!(
            nodes[0].value(),
            json!({"a": true, "b": "yes", "c": 1.5, "d": 16, "e": null, "f": 1000.0, "1": "one", "on": 0})
        );
    }

    #[test]
    fn anchors_and_merges_are_followed() {
        let (nodes, faults) = documents("base: &b {x: 1, y: 2}\nother:\n  <<: *b\n  y: 3\nagain: *b\n");
        assert_eq!(faults, []);
        assert_eq!(nodes[0].value()["other"], json!({"x": 1, "y": 3}));
        assert_eq!(nodes[0].value()["again"], json!({"x": 1, "y": 2}));
    }

    #[test]
    fn a_slip_hides_neither_its_neighbours_nor_other_slips() {
        let (nodes, faults) = documents("a: 1\na: 2\nb: {c: 1, c: 2}\n---\nx: [1\n---\ny: 1\n---\n# nothing\n");
        let places: Vec<_> = faults.iter().map(|fault| (fault.span.unwrap().line, fault.path.to_string())).collect();
        assert_eq!(nodes.len(), 2);
        assert_eq!(places.len(), 3, "{faults:?}");
        assert_eq!(places[..2], [(2, "a".to_owned()), (3, "b.c".to_owned())]);
        assert!(places[2].0 >= 5, "{faults:?}");
    }

    #[test]
    fn bombs_are_refused() {
        let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (name, above) in [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"), ("f", "e"), ("g", "f"), ("h", "g")] {
            bomb += &format!("{name}: &{name} [{}]\n", vec![format!("*{above}"); 10].join(", "));
        }
        for (text, words) in [(bomb, "aliases (*name) repeat too much"), ("[".repeat(10_000), "nested too deeply")] {
            let faults = documents(&text).1;
            assert_eq!(faults.len(), 1);
            assert!(faults[0].message.starts_with(words) && faults[0].span.is_some(), "{faults:?}");
        }
    }
}
