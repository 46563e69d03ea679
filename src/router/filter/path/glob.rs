//! Keys and simple patterns: `*` is any run of characters, `?` one character.

/// The name of a member, exact or as a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Exact(Box<str>),
    Glob(Glob),
}

impl Key {
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(key) => **key == *name,
            Self::Glob(glob) => glob.matches(name),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    Any,
    One,
    Char(char),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Box<[Piece]>);

impl Glob {
    pub fn new(pieces: Vec<Piece>) -> Self {
        Self(pieces.into())
    }

    /// Reads a pattern in which a backslash takes the next character literally.
    pub fn parse(text: &str) -> Self {
        let mut chars = text.chars();
        let pieces = std::iter::from_fn(|| {
            Some(match chars.next()? {
                '*' => Piece::Any,
                '?' => Piece::One,
                '\\' => Piece::Char(chars.next()?),
                literal => Piece::Char(literal),
            })
        });
        Self(pieces.collect())
    }

    /// Whether the whole of `text` fits. Only the last star is ever retried, so the cost is at
    /// most the product of both lengths.
    pub fn matches(&self, text: &str) -> bool {
        let pieces = &self.0;
        let (mut piece, mut rest) = (0, text);
        let mut retry: Option<(usize, &str)> = None;
        loop {
            let mut chars = rest.chars();
            match (pieces.get(piece), chars.next()) {
                (None, None) => return true,
                (Some(Piece::Any), _) => {
                    piece += 1;
                    retry = Some((piece, rest));
                    continue;
                }
                (Some(Piece::One), Some(_)) => {
                    (piece, rest) = (piece + 1, chars.as_str());
                    continue;
                }
                (Some(Piece::Char(literal)), Some(c)) if *literal == c => {
                    (piece, rest) = (piece + 1, chars.as_str());
                    continue;
                }
                _ => {}
            }
            let Some((after_star, from)) = retry else {
                return false;
            };
            let mut chars = from.chars();
            if chars.next().is_none() {
                return false;
            }
            (piece, rest) = (after_star, chars.as_str());
            retry = Some((after_star, rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_fit_the_whole_text() {
        let check = |pattern: &str, text: &str, fits: bool| {
            assert_eq!(Glob::parse(pattern).matches(text), fits, "{pattern} {text}");
        };
        check("", "", true);
        check("", "a", false);
        check("*", "", true);
        check("a*", "abc", true);
        check("a*c", "abcbc", true);
        check("a*b", "abc", false);
        check("?", "é", true);
        check("??", "é", false);
        check("*é?", "xéy", true);
        check(r"a\*b", "a*b", true);
        check(r"a\*b", "axb", false);
        check("*a*b*c*", "xxaxxbxxcxx", true);
        check("*a*b*c*", "xxaxxcxxbxx", false);
    }

    #[test]
    fn a_pattern_of_many_stars_ends_in_time() {
        let pattern = Glob::parse(&"a*".repeat(100));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(99))));
        assert!(pattern.matches(&"a".repeat(10_000)));
    }
}
