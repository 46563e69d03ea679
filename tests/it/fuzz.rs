//! The fuzz targets over their corpora, and over copies of these with a few changes that are the same each time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../fuzz/targets.rs"]
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Changed copies of each file of a corpus.
const COPIES: usize = 150;

/// A copy with one to four changes: a byte becomes another, is left out, or is followed by a part of the text.
fn changed(seed: &[u8], dice: &mut fastrand::Rng) -> Vec<u8> {
    let mut copy = seed.to_vec();
    for _ in 0..dice.usize(1..5) {
        if copy.is_empty() {
            break;
        }
        let at = dice.usize(..copy.len());
        match dice.u8(..4) {
            0 => copy[at] = dice.u8(..),
            1 => drop(copy.remove(at)),
            2 => copy[at] = *dice.choice(b"(){}[]\"'\\.,:;!&|#@*?%-+0 9\n").unwrap(),
            _ => {
                let end = (at + dice.usize(..32)).min(copy.len());
                let part = copy[at..end].to_vec();
                copy.splice(at..at, part);
            }
        }
    }
    copy
}

#[test]
fn no_input_of_the_corpora_or_near_it_makes_a_parser_panic() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in targets::ALL {
        let mut dice = fastrand::Rng::with_seed(7);
        let mut seeds: Vec<_> = fs::read_dir(corpora.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        seeds.sort();
        assert!(!seeds.is_empty(), "{name}");
        for path in seeds {
            let seed = fs::read(&path).unwrap();
            let try_out = |input: &[u8]| {
                let done = std::panic::catch_unwind(|| target(input));
                assert!(done.is_ok(), "{}: {:?}", path.display(), String::from_utf8_lossy(input));
            };
            try_out(&seed);
            for _ in 0..COPIES {
                try_out(&changed(&seed, &mut dice));
            }
        }
    }
}

#[test]
fn every_target_has_a_corpus_and_a_file_for_cargo_fuzz() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let names = |folder: &str| -> BTreeSet<String> {
        let stem = |entry: fs::DirEntry| entry.path().file_stem().unwrap().to_str().unwrap().to_owned();
        fs::read_dir(fuzz.join(folder)).unwrap().map(|entry| stem(entry.unwrap())).collect()
    };
    let known: BTreeSet<String> = targets::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("corpus"), known);
    assert_eq!(names("fuzz_targets"), known);
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for name in known {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}
