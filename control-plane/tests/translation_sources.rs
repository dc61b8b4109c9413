//! Checks that the code of every source that shapes resources is a part of their versions.
//! Otherwise nodes would not notice a new build of the translation.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

#[path = "../build/sources.rs"]
mod sources;

/// Modules that the translation uses and that shape no resource.
const SHAPES_NOTHING: &[&str] = &[
    // Places in the file. They are no part of a resource.
    "src/origin.rs",
    // Stores resources that are already made.
    "src/snapshot",
];

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the modules of the crate that a source's code names: the word after `crate::`, or each
/// member of the braces there.
fn used(code: &str, krate: &str) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for rest in code.split(&format!("{krate} :: ")).skip(1) {
        let mut depth = 0;
        let mut is_first = true;
        for token in rest.split_inclusive(['{', '}', ',', ';', ' ']).flat_map(str::split_whitespace) {
            let word = token.trim_matches(['{', '}', ',', ';']);
            if is_first && !word.is_empty() {
                modules.insert(word.to_owned());
                is_first = false;
            }
            depth += token.matches('{').count();
            depth = depth.saturating_sub(token.matches('}').count());
            is_first |= depth == 1 && token.ends_with(['{', ',']);
            if depth == 0 {
                break;
            }
        }
    }
    modules
}

/// Returns the file of a module of the crate, or its folder, if there is one.
fn module(name: &str, source: &Path) -> Option<PathBuf> {
    let file = source.join(name).with_extension("rs");
    let folder = source.join(name);
    [file, folder].into_iter().find(|path| path.exists())
}

#[test]
fn every_source_that_shapes_a_resource_is_a_part_of_its_version() {
    let hashed: Vec<PathBuf> = sources::ROOTS.iter().map(|root| package().join(root)).collect();
    let known: Vec<PathBuf> = SHAPES_NOTHING.iter().map(|path| package().join(path)).collect();
    let all = sources::all(package()).unwrap();
    for expected in
        ["src/translate/mod.rs", "src/translate/chain.rs", "src/translate/route/timeouts.rs", "src/model/route/mod.rs"]
    {
        assert!(all.contains(&package().join(expected)), "{expected} is not hashed");
    }
    let (src, filter) = (package().join("src"), package().join("../filters/gateway/src"));
    let mut modules = 0;
    for source in &all {
        let code = sources::code(&fs::read_to_string(source).unwrap()).unwrap();
        // The filter's own sources are in the module, whose digest is a part of its version.
        let is_filter = source.starts_with(&filter);
        let own = used(&code, "crate").into_iter().filter(|_| !is_filter).filter_map(|name| module(&name, &src));
        let filters = used(&code, "legation_filter").into_iter().filter_map(|name| module(&name, &filter));
        for used in own.chain(filters) {
            modules += 1;
            let is_under = |roots: &[PathBuf]| {
                roots.iter().any(|root| used.starts_with(root) || used.with_extension("") == root.with_extension(""))
            };
            assert!(
                is_under(&hashed) || is_under(&known),
                "{} uses {}, which is no part of versions: add it to ROOTS in build/sources.rs, or say here why it shapes nothing",
                source.display(),
                used.display()
            );
        }
    }
    assert!(modules > 20, "only {modules} uses of other modules were found: the scan does not see them");
}

#[test]
fn the_scan_sees_each_way_to_name_a_module() {
    let code = "use crate :: { a :: B , c :: { d , e } , f } ; crate :: g :: h () ; use crate :: i ;";
    assert_eq!(used(code, "crate").iter().map(String::as_str).collect::<Vec<_>>(), ["a", "c", "f", "g", "i"]);
}

#[test]
fn comments_formatting_and_tests_are_no_part_of_versions_but_code_is() {
    let code = |source: &str| sources::code(source).unwrap();
    let plain = "fn f(x: u8) -> u8 { x + 1 }";
    for same in [
        "//! A file.\n\n/// Adds.\nfn f(x: u8) -> u8 {\n    // One.\n    x + 1\n}\n",
        "#[cfg(test)]\nmod tests;\nfn f(x: u8) -> u8 { x + 1 }",
        "fn f(x: u8) -> u8 { x + 1 }\n#[cfg(test)]\nmod tests { use super::*; #[test] fn g() { assert_eq!(f(1), 2); } }",
    ] {
        assert_eq!(code(same), code(plain), "{same}");
    }
    for other in [
        "fn f(x: u8) -> u8 { x + 2 }",
        "#[inline]\nfn f(x: u8) -> u8 { x + 1 }",
        "fn f(x: u8) -> u8 { x + 1 }\nconst A: &str = \"// no comment\";",
    ] {
        assert_ne!(code(other), code(plain), "{other}");
    }
    assert_ne!(code("const A: &str = \"// a\";"), code("const A: &str = \"// b\";"));
}
