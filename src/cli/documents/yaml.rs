//! YAML and JSON text into values that remember where they stand.
//!
//! YAML 1.2 with its core schema. What would be read differently by different tools, or could not
//! be said in JSON, is refused: duplicate keys, numbers with leading zeros, unknown tags, `.nan`.
//! Anchors, aliases and merge keys work within [`MAX_ALIASED`].

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};
use serde_json::{Map, Value as Json};

use super::place::{Place, Places};
use super::scalar;
use crate::api::FieldPath;

/// The deepest nesting of mappings and sequences: far beyond any document for people, and small
/// enough for everything that walks a value by recursion.
const MAX_DEPTH: usize = 100;
/// The most bytes (about) that aliases may copy in one text: a few hundred bytes of nested
/// aliases can otherwise ask for any amount of memory.
const MAX_ALIASED: usize = 4 << 20;
/// What a value costs beside its text, for [`MAX_ALIASED`].
const VALUE_COST: usize = 64;

/// One document of a text.
#[derive(Debug)]
pub struct Tree {
    pub value: Json,
    pub places: Places,
}

/// Something that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    pub place: Place,
    pub message: String,
}

/// Reads all documents of a text. Empty documents are left out. Reading goes on after a flaw where
/// it can; what is returned beside flaws is only good for finding more of them.
pub fn read(text: &str) -> (Vec<Tree>, Vec<Flaw>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = json_escapes(text);
    let mut composer = Composer::new(&text);
    let mut trees = Vec::new();
    if let Err(flaw) = composer.documents(&mut trees) {
        composer.flaws.push(flaw);
    }
    (trees, composer.flaws)
}

/// JSON is YAML but for one thing: it escapes characters beyond U+FFFF as two surrogates, for which
/// YAML has one long escape. What is no such pair is left as it is.
fn json_escapes(text: &str) -> Cow<'_, str> {
    if !text.trim_start().starts_with(['{', '[']) || !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let skip = if let Some(letter) = surrogates(escape) {
            out.extend(["\\U000", &format!("{:05X}", u32::from(letter))]);
            12
        } else {
            // The backslash and what it escapes, so that an escaped backslash escapes nothing.
            let length = 1 + escape[1..].chars().next().map_or(0, char::len_utf8);
            out.push_str(&escape[..length]);
            length
        };
        rest = &escape[skip..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character of the surrogate pair that `escape` begins with, as in `\ud83d\ude00`.
fn surrogates(escape: &str) -> Option<char> {
    let unit = |range| u16::from_str_radix(escape.get::<std::ops::Range<usize>>(range)?, 16).ok();
    if !(escape.starts_with("\\u") && escape.get(6..8) == Some("\\u")) {
        return None;
    }
    let pair = [unit(2..6)?, unit(8..12)?];
    let mut letters = char::decode_utf16(pair);
    letters.next()?.ok().filter(|letter| u32::from(*letter) > 0xFFFF)
}

/// Puts values together from the parser's events.
struct Composer<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Json>,
    aliased: usize,
    places: Places,
    flaws: Vec<Flaw>,
}

impl<'a> Composer<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            parser: Parser::new_from_str(text),
            anchors: HashMap::new(),
            aliased: 0,
            places: Places::default(),
            flaws: Vec::new(),
        }
    }

    fn documents(&mut self, trees: &mut Vec<Tree>) -> Result<(), Flaw> {
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd) {
                continue;
            }
            let root = FieldPath::root();
            self.places = Places::default();
            self.places.set(&root, place(span.start));
            let value = self.node(event, span, &root, 0)?;
            if !value.is_null() {
                trees.push(Tree { value, places: std::mem::take(&mut self.places) });
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Flaw> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(error)) => Err(self.scan_flaw(place(*error.marker()), error.info())),
        }
    }

    /// The parser's words for the commonest slip, in the words of people who write YAML, and where
    /// the tab is: the parser may name the end of the line before.
    fn scan_flaw(&self, place: Place, info: &str) -> Flaw {
        if !info.contains("tab") {
            return Flaw { place, message: format!("this is not YAML: {info}") };
        }
        let tab = |(index, line): (usize, &str)| {
            let indent = &line[..line.len() - line.trim_start().len()];
            let number = |value: usize| u32::try_from(value + 1).unwrap_or(u32::MAX);
            indent.find('\t').map(|column| Place { line: number(index), column: number(column) })
        };
        let place = self.text.lines().enumerate().skip(place.line as usize - 1).find_map(tab).unwrap_or(place);
        Flaw { place, message: "a tab where only spaces may indent".to_owned() }
    }

    /// The next event inside a document; the parser itself guarantees that there is one.
    fn expect(&mut self) -> Result<(Event<'a>, Span), Flaw> {
        let end = Flaw { place: Place::START, message: "the text ends in the middle of a document".to_owned() };
        self.next()?.ok_or(end)
    }

    fn node(&mut self, event: Event<'a>, span: Span, path: &FieldPath, depth: usize) -> Result<Json, Flaw> {
        if depth > MAX_DEPTH {
            return Err(too_deep(span));
        }
        let (value, anchor) = match event {
            Event::Alias(anchor) => (self.alias(anchor, span, depth)?, 0),
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar::read(&text, style, tag.as_deref()).unwrap_or_else(|message| {
                    self.flaws.push(flaw(span, message));
                    Json::Null
                });
                (value, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", span);
                (self.sequence(path, depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", span);
                (self.mapping(path, depth)?, anchor)
            }
            _ => return Err(flaw(span, "a value is expected here")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn sequence(&mut self, path: &FieldPath, depth: usize) -> Result<Json, Flaw> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.expect()?;
            if event == Event::SequenceEnd {
                return Ok(Json::Array(items));
            }
            let path = path.index(items.len());
            self.places.set(&path, place(span.start));
            items.push(self.node(event, span, &path, depth + 1)?);
        }
    }

    fn mapping(&mut self, path: &FieldPath, depth: usize) -> Result<Json, Flaw> {
        let mut members = Map::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.expect()?;
            let key = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, style, _, _) => {
                    if style == ScalarStyle::Plain && text == "<<" {
                        merged.push((self.merge_value(path, depth)?, span));
                        continue;
                    }
                    text
                }
                other => {
                    self.flaws.push(flaw(span, "a key must be text"));
                    self.node(other, span, path, depth + 1)?;
                    "".into()
                }
            };
            let member = path.field(&key);
            let twice = members.contains_key(&*key);
            if twice {
                let first = self.places.of(&member);
                self.flaws.push(flaw(span, format!("{key:?} is set twice (first in line {})", first.line)));
            } else {
                self.places.set(&member, place(span.start));
            }
            let (event, span) = self.expect()?;
            let value = self.node(event, span, &member, depth + 1)?;
            if !twice {
                members.insert(key.into_owned(), value);
            }
        }
        for (value, span) in merged {
            self.merge(&mut members, value, path, span);
        }
        Ok(Json::Object(members))
    }

    fn merge_value(&mut self, path: &FieldPath, depth: usize) -> Result<Json, Flaw> {
        let (event, span) = self.expect()?;
        self.node(event, span, &path.field("<<"), depth + 1)
    }

    /// Adds what a merge key brings: one mapping or a sequence of them. What is there already wins.
    fn merge(&mut self, members: &mut Map<String, Json>, value: Json, path: &FieldPath, span: Span) {
        let mappings = match value {
            Json::Array(items) => items,
            one => vec![one],
        };
        for mapping in mappings {
            let Json::Object(mapping) = mapping else {
                self.flaws.push(flaw(span, "a merge key takes an object or a list of objects"));
                continue;
            };
            for (key, value) in mapping {
                if !members.contains_key(&key) {
                    self.places.set(&path.field(&key), place(span.start));
                    members.insert(key, value);
                }
            }
        }
    }

    fn alias(&mut self, anchor: usize, span: Span, depth: usize) -> Result<Json, Flaw> {
        let Some(value) = self.anchors.get(&anchor) else {
            return Err(flaw(span, "an alias inside its own anchor"));
        };
        if depth + height(value) > MAX_DEPTH {
            return Err(too_deep(span));
        }
        self.aliased += cost(value);
        if self.aliased > MAX_ALIASED {
            return Err(flaw(span, format!("aliases copy more than {} MiB", MAX_ALIASED >> 20)));
        }
        Ok(value.clone())
    }

    fn check_tag(&mut self, tag: Option<&Tag>, own: &str, span: Span) {
        if let Some(tag) = tag.filter(|tag| !(tag.is_yaml_core_schema() && tag.suffix == own)) {
            self.flaws.push(flaw(span, format!("unknown tag {tag}")));
        }
    }
}

fn place(marker: Marker) -> Place {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Place { line: number(marker.line()).max(1), column: number(marker.col()).saturating_add(1) }
}

fn flaw(span: Span, message: impl Into<String>) -> Flaw {
    Flaw { place: place(span.start), message: message.into() }
}

fn too_deep(span: Span) -> Flaw {
    flaw(span, format!("nested deeper than {MAX_DEPTH} levels"))
}

/// How many levels a value has below itself.
fn height(value: &Json) -> usize {
    match value {
        Json::Array(items) => items.iter().map(height).max().map_or(0, |most| most + 1),
        Json::Object(members) => members.values().map(height).max().map_or(0, |most| most + 1),
        _ => 0,
    }
}

/// About how much memory a copy takes.
fn cost(value: &Json) -> usize {
    VALUE_COST
        + match value {
            Json::String(text) => text.len(),
            Json::Array(items) => items.iter().map(cost).sum(),
            Json::Object(members) => members.iter().map(|(key, value)| key.len() + cost(value)).sum(),
            _ => 0,
        }
}
