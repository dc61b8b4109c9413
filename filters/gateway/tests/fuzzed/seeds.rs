//! The seeds in `fuzz/seeds`, once more, through the same functions that `fuzz/targets` call. A
//! file that made one fail goes there with its mend.

use std::{fs, panic, path::Path};

/// Each seed of a target.
pub fn replay(target: &str, check: fn(&[u8])) {
    let seeds = |root: &Path| root.join("fuzz/seeds").join(target);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|root| seeds(root).is_dir());
    let folder = seeds(root.unwrap_or_else(|| panic!("{target} has a folder of seeds")));
    let mut seeds: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    assert!(seeds.len() > 3, "{} has seeds", folder.display());
    for seed in seeds {
        let bytes = fs::read(&seed).unwrap();
        assert!(panic::catch_unwind(|| check(&bytes)).is_ok(), "{} fails", seed.display());
    }
}
