//! Entries in a ring of bytes: a new one takes the place of the oldest.
//!
//! An entry is its length (4 bytes), its kind (1), its time in microseconds (8), two numbers (4 and 8), the number of its
//! texts (1), and each of these with its length before it (4).

/// What stands before the texts of an entry.
const HEAD: usize = 26;

/// One entry, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub kind: u8,
    /// Microseconds since the epoch.
    pub at: i64,
    pub count: u32,
    pub span: u64,
    pub texts: Vec<Vec<u8>>,
}

/// The ring; its bytes are had once.
#[derive(Debug)]
pub(super) struct Ring {
    bytes: Box<[u8]>,
    /// Where the oldest entry begins and where the next one does, counted from the first byte ever written.
    oldest: u64,
    next: u64,
}

impl Ring {
    pub fn new(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity].into_boxed_slice(), oldest: 0, next: 0 }
    }

    /// Whether an entry of these texts has room beside a few others.
    pub fn fits(&self, texts: &[&[u8]]) -> bool {
        size(texts) <= self.bytes.len() / 8
    }

    /// Adds an entry, if it [fits](Self::fits) at all.
    pub fn push(&mut self, kind: u8, at: i64, count: u32, span: u64, texts: &[&[u8]]) {
        if !self.fits(texts) {
            return;
        }
        let size = size(texts);
        let capacity = self.bytes.len() as u64;
        while self.next + size as u64 - self.oldest > capacity {
            self.oldest += u64::from(self.number(self.oldest));
        }
        let mut head = [0; HEAD];
        // What fits is smaller than the capacity, which a u32 holds.
        head[..4].copy_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
        head[4] = kind;
        head[5..13].copy_from_slice(&at.to_le_bytes());
        head[13..17].copy_from_slice(&count.to_le_bytes());
        head[17..25].copy_from_slice(&span.to_le_bytes());
        head[25] = u8::try_from(texts.len()).unwrap_or(u8::MAX);
        self.write(&head);
        for text in texts {
            self.write(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            self.write(text);
        }
    }

    /// All entries, from the oldest on.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let mut at = self.oldest;
        std::iter::from_fn(move || {
            if at == self.next {
                return None;
            }
            let entry = self.entry(at);
            at += u64::from(self.number(at));
            Some(entry)
        })
    }

    fn entry(&self, at: u64) -> Entry {
        let head: [u8; HEAD] = self.array(at);
        let mut place = at + HEAD as u64;
        let texts = (0..head[25]).map(|_| {
            let length = self.number(place);
            let text = self.read(place + 4, length as usize);
            place += 4 + u64::from(length);
            text
        });
        let texts = texts.collect();
        let part = |from: usize| self.array(at + from as u64);
        Entry {
            kind: head[4],
            at: i64::from_le_bytes(part(5)),
            count: self.number(at + 13),
            span: u64::from_le_bytes(part(17)),
            texts,
        }
    }

    fn number(&self, at: u64) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    fn array<const N: usize>(&self, at: u64) -> [u8; N] {
        let from = self.place(at);
        let first = N.min(self.bytes.len() - from);
        let mut out = [0; N];
        out[..first].copy_from_slice(&self.bytes[from..from + first]);
        out[first..].copy_from_slice(&self.bytes[..N - first]);
        out
    }

    fn place(&self, at: u64) -> usize {
        // The remainder is smaller than the length, which is a usize.
        usize::try_from(at % self.bytes.len() as u64).unwrap_or_default()
    }

    fn read(&self, at: u64, length: usize) -> Vec<u8> {
        let from = self.place(at);
        let first = length.min(self.bytes.len() - from);
        [&self.bytes[from..from + first], &self.bytes[..length - first]].concat()
    }

    fn write(&mut self, bytes: &[u8]) {
        let from = self.place(self.next);
        let first = bytes.len().min(self.bytes.len() - from);
        self.bytes[from..from + first].copy_from_slice(&bytes[..first]);
        self.bytes[..bytes.len() - first].copy_from_slice(&bytes[first..]);
        self.next += bytes.len() as u64;
    }
}

fn size(texts: &[&[u8]]) -> usize {
    HEAD + texts.iter().map(|text| 4 + text.len()).sum::<usize>()
}
