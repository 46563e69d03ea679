//! The pattern of `LIKE`: `%` is any run of characters, `_` is one character.

use super::super::Want;

/// A compiled pattern: what stands between the `%`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// At least one; the first is at the beginning of the text, the last at its end.
    segments: Box<[Segment]>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Segment {
    atoms: Vec<Atom>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Atom {
    Text(String),
    /// `_`.
    One,
}

impl Pattern {
    /// Compiles `source`. `\%` and `\_` stand for themselves, and so does every other backslash.
    pub fn compile(source: &str) -> Self {
        let mut segments = vec![Segment::default()];
        let mut chars = source.chars().peekable();
        while let Some(c) = chars.next() {
            let segment = match segments.last_mut() {
                Some(segment) if c != '%' => segment,
                _ => {
                    segments.push(Segment::default());
                    continue;
                }
            };
            match c {
                '_' => segment.atoms.push(Atom::One),
                '\\' => segment.push(chars.next_if(|next| matches!(next, '%' | '_')).unwrap_or('\\')),
                other => segment.push(other),
            }
        }
        Self { segments: segments.into() }
    }

    pub fn matches(&self, text: &str) -> bool {
        let [first, rest @ ..] = &*self.segments else {
            return false;
        };
        let Some(mut at) = first.at_start(text) else {
            return false;
        };
        let Some((last, middle)) = rest.split_last() else {
            return at == text.len();
        };
        // Each at its first place: what is left for the others is then the most.
        for segment in middle {
            match segment.find(&text[at..]) {
                Some(end) => at += end,
                None => return false,
            }
        }
        last.at_end(&text[at..])
    }

    /// What must be true of a text that matches, as a test that can be looked up.
    pub fn necessary(&self) -> Option<Want> {
        let text = |segment: &Segment, first: bool| {
            let atom = if first { segment.atoms.first() } else { segment.atoms.last() };
            match atom {
                Some(Atom::Text(text)) => Some(text.as_str().into()),
                _ => None,
            }
        };
        let (first, last) = (self.segments.first()?, self.segments.last()?);
        match (&*self.segments, &*first.atoms) {
            ([_], []) => Some(Want::Equal("".into())),
            ([_], [Atom::Text(text)]) => Some(Want::Equal(text.as_str().into())),
            _ => text(first, true).map(Want::Prefix).or_else(|| text(last, false).map(Want::Suffix)),
        }
    }
}

impl Segment {
    fn push(&mut self, c: char) {
        match self.atoms.last_mut() {
            Some(Atom::Text(text)) => text.push(c),
            _ => self.atoms.push(Atom::Text(c.into())),
        }
    }

    /// How many bytes at the start of `text` it takes.
    fn at_start(&self, text: &str) -> Option<usize> {
        let mut rest = text;
        for atom in &self.atoms {
            rest = match atom {
                Atom::Text(wanted) => rest.strip_prefix(wanted.as_str())?,
                Atom::One => {
                    let mut chars = rest.chars();
                    chars.next()?;
                    chars.as_str()
                }
            };
        }
        Some(text.len() - rest.len())
    }

    /// Where its first occurrence in `text` ends.
    fn find(&self, text: &str) -> Option<usize> {
        match &*self.atoms {
            [] => Some(0),
            [Atom::Text(wanted)] => text.find(wanted.as_str()).map(|at| at + wanted.len()),
            _ => text.char_indices().find_map(|(at, _)| self.at_start(&text[at..]).map(|length| at + length)),
        }
    }

    fn at_end(&self, text: &str) -> bool {
        match &*self.atoms {
            [] => true,
            [Atom::Text(wanted)] => text.ends_with(wanted.as_str()),
            atoms => {
                let length: usize = atoms.iter().map(Atom::chars).sum();
                let start = text.char_indices().rev().nth(length - 1).map(|(at, _)| at);
                start.is_some_and(|start| self.at_start(&text[start..]) == Some(text.len() - start))
            }
        }
    }
}

impl Atom {
    fn chars(&self) -> usize {
        match self {
            Self::Text(text) => text.chars().count(),
            Self::One => 1,
        }
    }
}
