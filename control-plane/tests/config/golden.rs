//! Bad files and what the command says of them: `bad/FOLDER/x.yaml` → `bad/FOLDER/x.txt`. With
//! `UPDATE_GOLDEN` set, the latter are written.
//!
//! A file in `shape/` has a fault that the JSON Schema finds, too. Those in `rules/` break rules
//! only, so the schema takes them. Those in `syntax/` are no YAML that becomes JSON.

use std::{fs, sync::Arc};

use legation::{
    config::{self, Source},
    diagnostic,
};

use crate::support::yaml_files;

#[test]
fn each_file_gives_the_diagnostics_written_beside_it() {
    let folders = ["shape", "rules", "syntax"];
    let files: Vec<_> = folders.iter().flat_map(|folder| yaml_files(&format!("tests/config/bad/{folder}"))).collect();
    assert!(files.len() > 5, "the files are not where they are looked for");
    let mut differing = Vec::new();
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let source = Source { file: Arc::from(file.file_name().unwrap().to_str().unwrap()), bytes };
        let loaded = config::load(&source, &|_| None);
        let found = diagnostic::render(&loaded.diagnostics, &source);
        let golden = file.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &found).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if found != expected {
            differing.push(format!("{}: expected\n{expected}\nfound\n{found}", file.display()));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
