//! The patterns of Lua 5.1, with a count of the steps that a match takes: a few of them in a row
//! on a long text would go on for years.

/// Captures in one pattern, as in Lua.
const MAX_CAPTURES: usize = 32;

/// How deep a match may recur; Lua's own bound.
const MAX_DEPTH: usize = 200;

const ESCAPE: u8 = b'%';

/// Why a match has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Malformed(&'static str),
    /// It took more steps than were left.
    TooCostly,
}

type Outcome<T> = Result<T, Failure>;

/// A captured part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capture {
    Open(usize),
    Part(usize, usize),
    Position(usize),
}

/// A pattern on a text.
pub(super) struct Matcher<'t> {
    text: &'t [u8],
    pattern: &'t [u8],
    pub captures: Vec<Capture>,
    depth: usize,
    /// Steps taken so far.
    pub steps: u64,
    most: u64,
}

impl<'t> Matcher<'t> {
    pub const fn new(text: &'t [u8], pattern: &'t [u8], most: u64) -> Self {
        Self { text, pattern, captures: Vec::new(), depth: 0, steps: 0, most }
    }

    /// The end of a match that begins at `start`.
    pub fn at(&mut self, start: usize) -> Outcome<Option<usize>> {
        self.captures.clear();
        self.depth = 0;
        self.follow(start, 0)
    }

    fn step(&mut self) -> Outcome<()> {
        self.steps += 1;
        if self.steps > self.most { Err(Failure::TooCostly) } else { Ok(()) }
    }

    /// Matches the rest of the pattern, from `at` in it, to the text from `from` on.
    fn follow(&mut self, from: usize, at: usize) -> Outcome<Option<usize>> {
        self.depth += 1;
        let outcome = if self.depth > MAX_DEPTH { Err(Failure::TooCostly) } else { self.walk(from, at) };
        self.depth -= 1;
        outcome
    }

    fn walk(&mut self, mut from: usize, mut at: usize) -> Outcome<Option<usize>> {
        loop {
            self.step()?;
            let Some(first) = self.pattern.get(at) else {
                return Ok(Some(from));
            };
            match (*first, self.pattern.get(at + 1)) {
                (b'(', Some(b')')) => return self.open(Capture::Position(from), from, at + 2),
                (b'(', _) => return self.open(Capture::Open(from), from, at + 1),
                (b')', _) => return self.close(from, at + 1),
                (b'$', None) => return Ok((from == self.text.len()).then_some(from)),
                (ESCAPE, Some(b'b')) => match self.balanced(from, at + 2)? {
                    Some(end) => (from, at) = (end, at + 4),
                    None => return Ok(None),
                },
                (ESCAPE, Some(b'f')) => {
                    at += 2;
                    if self.pattern.get(at) != Some(&b'[') {
                        return Err(Failure::Malformed("missing '[' after '%f' in pattern"));
                    }
                    let end = self.class_end(at)?;
                    let before = from.checked_sub(1).map_or(0, |before| self.text[before]);
                    let next = self.text.get(from).copied().unwrap_or(0);
                    if self.in_set(before, at, end - 1) || !self.in_set(next, at, end - 1) {
                        return Ok(None);
                    }
                    at = end;
                }
                (ESCAPE, Some(digit)) if digit.is_ascii_digit() => match self.again(from, *digit)? {
                    Some(end) => (from, at) = (end, at + 2),
                    None => return Ok(None),
                },
                _ => {
                    let end = self.class_end(at)?;
                    match self.pattern.get(end) {
                        Some(b'?') => {
                            if self.single(from, at, end)
                                && let Some(found) = self.follow(from + 1, end + 1)?
                            {
                                return Ok(Some(found));
                            }
                            at = end + 1;
                        }
                        Some(b'*') => return self.most_of(from, at, end, 0),
                        Some(b'+') => return self.most_of(from, at, end, 1),
                        Some(b'-') => return self.least_of(from, at, end),
                        _ if self.single(from, at, end) => (from, at) = (from + 1, end),
                        _ => return Ok(None),
                    }
                }
            }
        }
    }

    fn open(&mut self, capture: Capture, from: usize, at: usize) -> Outcome<Option<usize>> {
        if self.captures.len() >= MAX_CAPTURES {
            return Err(Failure::Malformed("too many captures"));
        }
        self.captures.push(capture);
        let place = self.captures.len();
        let found = self.follow(from, at)?;
        if found.is_none() {
            self.captures.truncate(place - 1);
        }
        Ok(found)
    }

    fn close(&mut self, from: usize, at: usize) -> Outcome<Option<usize>> {
        let open = self.captures.iter().rposition(|capture| matches!(capture, Capture::Open(_)));
        let Some((place, Capture::Open(start))) = open.map(|place| (place, self.captures[place])) else {
            return Err(Failure::Malformed("invalid pattern capture"));
        };
        self.captures[place] = Capture::Part(start, from);
        let found = self.follow(from, at)?;
        if found.is_none() {
            self.captures[place] = Capture::Open(start);
        }
        Ok(found)
    }

    fn balanced(&mut self, from: usize, at: usize) -> Outcome<Option<usize>> {
        let (Some(open), Some(close)) = (self.pattern.get(at), self.pattern.get(at + 1)) else {
            return Err(Failure::Malformed("unbalanced pattern"));
        };
        if self.text.get(from) != Some(open) {
            return Ok(None);
        }
        let mut depth = 1_usize;
        for (place, byte) in self.text.iter().enumerate().skip(from + 1) {
            self.step()?;
            if byte == close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(place + 1));
                }
            } else if byte == open {
                depth += 1;
            }
        }
        Ok(None)
    }

    /// The same text as an earlier capture.
    fn again(&mut self, from: usize, digit: u8) -> Outcome<Option<usize>> {
        let place = usize::from(digit - b'0').checked_sub(1);
        let Some(Capture::Part(start, end)) = place.and_then(|place| self.captures.get(place)) else {
            return Err(Failure::Malformed("invalid capture index"));
        };
        let wanted = &self.text[*start..*end];
        let found = self.text[from..].starts_with(wanted).then_some(from + wanted.len());
        self.steps += wanted.len() as u64;
        Ok(found)
    }

    fn most_of(&mut self, from: usize, at: usize, end: usize, least: usize) -> Outcome<Option<usize>> {
        let mut count = 0;
        while self.single(from + count, at, end) {
            self.step()?;
            count += 1;
        }
        loop {
            if count < least {
                return Ok(None);
            }
            if let Some(found) = self.follow(from + count, end + 1)? {
                return Ok(Some(found));
            }
            let Some(fewer) = count.checked_sub(1) else {
                return Ok(None);
            };
            count = fewer;
        }
    }

    fn least_of(&mut self, mut from: usize, at: usize, end: usize) -> Outcome<Option<usize>> {
        loop {
            if let Some(found) = self.follow(from, end + 1)? {
                return Ok(Some(found));
            }
            if !self.single(from, at, end) {
                return Ok(None);
            }
            from += 1;
        }
    }

    /// Where the class that begins at `at` ends.
    fn class_end(&self, at: usize) -> Outcome<usize> {
        match self.pattern[at] {
            ESCAPE if at + 1 < self.pattern.len() => Ok(at + 2),
            ESCAPE => Err(Failure::Malformed("malformed pattern (ends with '%')")),
            b'[' => {
                let mut at = at + 1;
                if self.pattern.get(at) == Some(&b'^') {
                    at += 1;
                }
                // A bracket that comes first is one of the set.
                loop {
                    match self.pattern.get(at) {
                        None => return Err(Failure::Malformed("malformed pattern (missing ']')")),
                        Some(&ESCAPE) => at += 2,
                        Some(_) => at += 1,
                    }
                    if self.pattern.get(at) == Some(&b']') {
                        return Ok(at + 1);
                    }
                }
            }
            _ => Ok(at + 1),
        }
    }

    fn single(&self, from: usize, at: usize, end: usize) -> bool {
        let Some(byte) = self.text.get(from).copied() else {
            return false;
        };
        match self.pattern[at] {
            b'.' => true,
            ESCAPE => is_of(byte, self.pattern[at + 1]),
            b'[' => self.in_set(byte, at, end - 1),
            plain => plain == byte,
        }
    }

    /// Whether the set from the bracket at `at` to the one at `last` has the byte.
    fn in_set(&self, byte: u8, mut at: usize, last: usize) -> bool {
        let negated = self.pattern[at + 1] == b'^';
        at += 1 + usize::from(negated);
        while at < last {
            let one = self.pattern[at];
            if one == ESCAPE && at + 1 < last {
                if is_of(byte, self.pattern[at + 1]) {
                    return !negated;
                }
                at += 2;
            } else if self.pattern[at + 1] == b'-' && at + 2 < last {
                if (one..=self.pattern[at + 2]).contains(&byte) {
                    return !negated;
                }
                at += 3;
            } else if one == byte {
                return !negated;
            } else {
                at += 1;
            }
        }
        negated
    }
}

/// Whether the byte is of the class `%class`; an upper case letter is the rest.
fn is_of(byte: u8, class: u8) -> bool {
    let within = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => byte.is_ascii_whitespace() || byte == 0x0b,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    within != class.is_ascii_uppercase()
}
