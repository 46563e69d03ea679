//! Fingerprints that may be known, in a fixed amount of memory.

use super::dedup::Fingerprint;

/// 1 MiB of bits. With 500,000 fingerprints 0.2 % of new ones pass, with a million 3 %; beyond that
/// ever more are looked up in vain, and nothing else changes.
const BLOCKS: usize = 1 << 14;

/// One cache line: all bits of a fingerprint are in one block, so that it costs one access to
/// memory.
const BLOCK_BITS: usize = 512;

/// Bits of a fingerprint.
const BITS: u32 = 6;

/// Reading more than this from disk would make itself felt when a bus is opened: then there is no
/// sieve until the next generation.
const MAX_READ: usize = 200_000;

type Block = [u64; BLOCK_BITS / 64];

/// A blocked Bloom filter (Putze, Sanders, Singler: "Cache-, hash- and space-efficient Bloom
/// filters"). Fingerprints are uniform already, so their own bits choose the places.
pub(super) struct Sieve {
    blocks: Vec<Block>,
}

impl Sieve {
    fn new() -> Self {
        Self { blocks: vec![[0; BLOCK_BITS / 64]; BLOCKS] }
    }

    /// A sieve of these keys; `None` when they are too many to be read now.
    ///
    /// # Errors
    /// The first error among the keys.
    pub(super) fn of<K: AsRef<[u8]>, E>(keys: impl Iterator<Item = Result<K, E>>) -> Result<Option<Self>, E> {
        let mut sieve = Self::new();
        for (count, key) in keys.enumerate() {
            let key = key?;
            match key.as_ref().first_chunk() {
                Some(fingerprint) if count < MAX_READ => sieve.add(fingerprint),
                _ => return Ok(None),
            }
        }
        Ok(Some(sieve))
    }

    pub(super) fn add(&mut self, fingerprint: &Fingerprint) {
        let (block, bits) = place(fingerprint);
        for bit in bits {
            self.blocks[block][bit / 64] |= 1 << (bit % 64);
        }
    }

    /// False when the fingerprint was certainly not added.
    pub(super) fn may_contain(&self, fingerprint: &Fingerprint) -> bool {
        let (block, mut bits) = place(fingerprint);
        bits.all(|bit| self.blocks[block][bit / 64] & (1 << (bit % 64)) != 0)
    }
}

/// The block of a fingerprint, and its bits there.
#[expect(clippy::cast_possible_truncation, reason = "both are taken modulo small numbers")]
fn place(fingerprint: &Fingerprint) -> (usize, impl Iterator<Item = usize>) {
    let number = u128::from_be_bytes(*fingerprint);
    let (block, rest) = ((number >> 64) as u64 as usize % BLOCKS, number as u64);
    (block, (0..BITS).map(move |index| (rest >> (index * BLOCK_BITS.ilog2())) as usize % BLOCK_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uniform, as fingerprints are.
    fn fingerprint(number: u64) -> Fingerprint {
        *ring::digest::digest(&ring::digest::SHA256, &number.to_be_bytes()).as_ref().first_chunk().unwrap()
    }

    #[test]
    fn what_was_added_passes_and_hardly_anything_else() {
        let mut sieve = Sieve::new();
        (0..100_000).for_each(|number| sieve.add(&fingerprint(number)));
        assert!((0..100_000).all(|number| sieve.may_contain(&fingerprint(number))));
        let passed = (100_000..200_000).filter(|number| sieve.may_contain(&fingerprint(*number))).count();
        assert!(passed < 100, "{passed} of 100,000 passed");
    }

    #[test]
    fn a_sieve_is_read_from_keys_unless_they_are_too_many() {
        let keys = |count| (0..count).map(|number| Ok::<_, ()>(fingerprint(number)));
        let sieve = Sieve::of(keys(10)).unwrap().unwrap();
        assert!((0..10).all(|number| sieve.may_contain(&fingerprint(number))));
        assert!(Sieve::of(keys(MAX_READ as u64 + 1)).unwrap().is_none());
        assert_eq!(Sieve::of([Ok([0; 16]), Err(())].into_iter()).err(), Some(()));
    }
}
