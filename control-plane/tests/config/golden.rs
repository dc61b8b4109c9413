//! Files and what is said of them: `bad/x.yaml` → `bad/x.txt`. With `UPDATE_GOLDEN` set, the latter are written.

use std::{fs, path::Path, sync::Arc};

use legation::{
    config::{self, Source},
    diagnostic,
};

#[test]
fn each_file_gives_the_diagnostics_written_beside_it() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/bad");
    let mut files: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
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
