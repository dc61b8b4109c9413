//! `README.md` beside this file says which test proves which rule, and `docs/streams.md` which
//! test proves what of streams. The tests here keep both true: each test that they name exists,
//! and each rule that a test's name cites has a row that names the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// All tests as `file::function`.
fn tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for folder_name in ["", "xds", "xds/model", "live", "live/attacks"] {
        for entry in fs::read_dir(folder().join(folder_name)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let file = path.strip_prefix(folder()).unwrap().with_extension("");
            let file = if file.ends_with("mod") { file.parent().unwrap().to_owned() } else { file };
            let text = fs::read_to_string(&path).unwrap();
            // The function that follows an attribute `#[test]` or `#[tokio::test(…)]`.
            for part in text.split("test").skip(1).filter(|part| part.starts_with([']', '('])) {
                let name = part.split_once("fn ").and_then(|(_, rest)| rest.split('(').next());
                tests.extend(name.map(|name| format!("{}::{}", file.display(), name.trim())));
            }
            // The functions of which this macro makes a test in each variant.
            for block in text.split("both_variants! {").skip(1).filter_map(|rest| rest.split('}').next()) {
                let names = block.trim_start().trim_start_matches("async").split(',').map(str::trim);
                tests.extend(names.filter(|it| !it.is_empty()).map(|name| format!("{}::{name}", file.display())));
            }
        }
    }
    tests
}

/// The tests that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let code = text.split('`').skip(1).step_by(2).filter(|name| name.contains("::") && !name.contains(' '));
    code.filter(|name| *name != "file::function").map(str::to_owned).collect()
}

fn readme() -> String {
    fs::read_to_string(folder().join("README.md")).unwrap()
}

/// For each rule the tests that its row names.
fn rows() -> BTreeMap<String, BTreeSet<String>> {
    let mut rules = BTreeMap::new();
    for line in readme().lines() {
        let first = line.strip_prefix("| ").and_then(|line| line.split(" |").next()).unwrap_or_default();
        if is_rule(first) {
            let before = rules.insert(first.to_owned(), named(line));
            assert!(before.is_none(), "{first} has two rows");
        }
    }
    rules
}

fn is_rule(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|letter| "GSDOTCgsdotc".contains(letter))
        && letters.as_str().parse::<u8>().is_ok_and(|number| number > 0)
}

#[test]
fn every_test_that_a_table_names_exists() {
    let tests = tests();
    assert!(tests.len() > 100, "tests are found: {tests:?}");
    let streams = fs::read_to_string(folder().join("../../docs/streams.md")).unwrap();
    for text in [readme(), streams] {
        let named = named(&text);
        assert!(!named.is_empty());
        let missing = named.difference(&tests).collect::<Vec<_>>();
        assert!(missing.is_empty(), "no such test: {missing:#?}");
    }
}

#[test]
fn every_rule_has_a_row() {
    let rules = rows();
    for (letter, count) in [('G', 15), ('S', 10), ('D', 14), ('O', 9), ('T', 2), ('C', 2)] {
        for number in 1..=count {
            assert!(rules.contains_key(&format!("{letter}{number}")), "{letter}{number} has no row");
        }
    }
}

#[test]
fn every_rule_that_a_tests_name_cites_names_the_test() {
    let rules = rows();
    let mut missing = Vec::new();
    for test in tests() {
        for rule in test.rsplit('_').take_while(|word| is_rule(word)) {
            let rule = rule.to_uppercase();
            if !rules.get(&rule).is_some_and(|named| named.contains(&test)) {
                missing.push(format!("{rule}: {test}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
