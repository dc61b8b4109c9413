//! What is said of the file: its JSON Schema, the reference and `legation explain`. With
//! `UPDATE_GOLDEN` set, schema and reference are written.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use legation::{
    config::{
        code,
        describe::{self, Mapping, Shape},
    },
    diagnostic::Severity,
};
use serde_json::{Value as Json, json};

use crate::support::{load, yaml_files};

/// Files that have each field of the schema, together. A new field may bring a file of its own.
const GOOD: &str = "tests/config/good";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn legation(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_legation")).args(arguments).output().unwrap()
}

fn said(arguments: &[&str]) -> String {
    let output = legation(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn everything() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/good/everything.yaml")).unwrap()
}

fn examples() -> Vec<PathBuf> {
    let files: Vec<_> = fs::read_dir(root().join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path().join("gateway.yaml"))
        .filter(|file| file.exists())
        .collect();
    assert!(files.len() > 2, "the examples are not where they are looked for");
    files
}

fn holds(path: &str, found: &str) {
    let file = root().join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, found).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == expected, "{path} is not what the declarations say: run with UPDATE_GOLDEN=1");
}

#[test]
fn the_checked_in_schema_is_what_the_command_prints() {
    holds("docs/gateway.schema.json", &said(&["schema"]));
}

#[test]
fn the_reference_is_made_from_the_declarations() {
    let reference = describe::reference();
    holds("docs/reference.md", &reference);
    for word in code::ALL {
        assert!(reference.contains(&format!("| `{word}` | ")), "{word}");
    }
}

#[test]
fn each_link_in_the_reference_leads_to_a_heading() {
    let reference = describe::reference();
    let headings: BTreeSet<String> = reference
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"))
        .map(|line| line.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect())
        .collect();
    let links: BTreeSet<&str> = reference.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
    assert!(links.len() > 30, "{links:?}");
    let broken: Vec<_> = links.into_iter().filter(|link| !headings.contains(*link)).collect();
    assert!(broken.is_empty(), "{broken:?} of {headings:?}");
}

/// Each field that the value has, as the mapping's name and the field's.
fn fields_of(value: &Json, shape: &Shape, found: &mut BTreeSet<(String, String)>) {
    match (shape, value) {
        (Shape::Mapping(mapping), Json::Object(_)) => fields_of_mapping(value, mapping, found),
        (Shape::List(item), Json::Array(items)) | (Shape::OneOrMany(item), Json::Array(items)) => {
            items.iter().for_each(|value| fields_of(value, item, found));
        }
        (Shape::OneOrMany(item), value) => fields_of(value, item, found),
        (Shape::Pairs { value: of, .. }, Json::Object(pairs)) => {
            pairs.values().for_each(|value| fields_of(value, of, found));
        }
        (Shape::Either(shapes), value) => shapes.iter().for_each(|shape| fields_of(value, shape, found)),
        _ => {}
    }
}

fn fields_of_mapping(value: &Json, mapping: &Mapping, found: &mut BTreeSet<(String, String)>) {
    for field in &mapping.fields {
        if let Some(value) = value.get(field.name) {
            found.insert((mapping.what.to_owned(), field.name.to_owned()));
            fields_of(value, &field.shape, found);
        }
    }
}

#[test]
fn the_reader_takes_good_files_which_have_each_field_of_the_schema() {
    let mut found = BTreeSet::new();
    for file in yaml_files(GOOD) {
        let text = fs::read_to_string(&file).unwrap();
        fields_of_mapping(&serde_yaml::from_str(&text).unwrap(), &describe::file(), &mut found);
        let loaded = load(text);
        let errors = loaded.diagnostics.iter().filter(|found| found.severity == Severity::Error);
        let errors: Vec<_> = errors.collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", file.display());
    }
    let sections = describe::sections();
    let declared =
        sections.iter().flat_map(|(_, mapping)| mapping.fields.iter().map(|field| (mapping.what, field.name)));
    let lacking: Vec<_> =
        declared.filter(|(what, field)| !found.contains(&((*what).to_owned(), (*field).to_owned()))).collect();
    assert!(lacking.is_empty(), "no file in {GOOD} has these fields: {lacking:?}");
}

fn python() -> PathBuf {
    let fetched = root().join("target/jsonschema/bin/python");
    let python = std::env::var_os("JSONSCHEMA_PYTHON").map_or(fetched, PathBuf::from);
    assert!(
        python.is_file(),
        "no Python with jsonschema at {}: run `make jsonschema`, or name one with JSONSCHEMA_PYTHON",
        python.display()
    );
    python
}

/// What `jsonschema` finds wrong: with each document, and with the schema's own examples and
/// defaults.
fn validate(documents: &[Json]) -> (Vec<Vec<String>>, Vec<String>) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/validate.py");
    let mut child = Command::new(python())
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let request = json!({"schema": describe::json_schema(), "documents": documents});
    child.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
    let texts = |value: &Json| serde_json::from_value::<Vec<String>>(value.clone()).unwrap();
    (answer["documents"].as_array().unwrap().iter().map(texts).collect(), texts(&answer["schema"]))
}

#[test]
fn an_independent_validator_takes_good_files_and_refuses_those_of_a_wrong_shape() {
    let json = |file: &Path| -> Json {
        let text = fs::read_to_string(file).unwrap();
        serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    };
    let bad = |folder: &str| yaml_files(&format!("tests/config/bad/{folder}"));
    let (rules, shapes) = (bad("rules"), bad("shape"));
    // What each named rule of the file needs beside its shape is not the schema's to say.
    let mut good = examples();
    good.extend(rules);
    good.extend(yaml_files(GOOD));
    let documents: Vec<Json> = good.iter().chain(&shapes).map(|file| json(file)).collect();
    let (found, of_the_schema) = validate(&documents);
    assert!(of_the_schema.is_empty(), "examples or defaults break their own schema: {of_the_schema:#?}");
    let mut wrong = Vec::new();
    for (file, faults) in good.iter().chain(&shapes).zip(&found) {
        let is_good = good.contains(file);
        if faults.is_empty() != is_good {
            wrong.push(format!("{}: {faults:?}", file.display()));
        }
    }
    assert!(shapes.len() > 15 && wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_schema_takes_a_variable_wherever_it_takes_a_scalar() {
    let mut document: Json = serde_yaml::from_str(&everything()).unwrap();
    fn replace(value: &mut Json) {
        match value {
            Json::Array(items) => items.iter_mut().for_each(replace),
            Json::Object(fields) => {
                fields.iter_mut().filter(|(key, _)| *key != "@type").for_each(|(_, value)| replace(value));
            }
            Json::Null => {}
            scalar => *scalar = "${env:SOME}".into(),
        }
    }
    replace(&mut document);
    let (found, _) = validate(&[document]);
    assert_eq!(found, [Vec::<String>::new()]);
}

#[test]
fn each_example_names_the_schema_for_editors() {
    let mut files = examples();
    files.extend(yaml_files(GOOD));
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let first = text.lines().next().unwrap();
        let path = first.strip_prefix("# yaml-language-server: $schema=");
        let path = path.unwrap_or_else(|| panic!("{} begins with {first:?}", file.display()));
        let schema = fs::canonicalize(file.parent().unwrap().join(path)).unwrap();
        assert_eq!(schema, fs::canonicalize(root().join("docs/gateway.schema.json")).unwrap(), "{}", file.display());
    }
}

#[test]
fn each_field_is_explained() {
    for (path, mapping) in describe::sections() {
        for field in &mapping.fields {
            let path = if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
            let explained = describe::explain(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(explained.starts_with(&path.replace("[]", "")), "{explained}");
            assert!(explained.contains("  type:"), "{explained}");
        }
    }
}

#[test]
fn a_field_is_explained_with_its_type_its_default_its_words_and_an_example() {
    let explained = said(&["explain", "clusters.lb"]);
    for part in ["How the gateway chooses an endpoint", "default:  round_robin", "maglev", "example:  lb: round_robin"]
    {
        assert!(explained.contains(part), "{part}: {explained}");
    }
    assert_eq!(said(&["explain", "clusters[].lb"]), explained);
    let part = said(&["explain", "routes.rate_limit"]);
    assert!(part.contains("window") && part.contains("dry_run"), "{part}");
    let top = said(&["explain"]);
    assert!(describe::file().fields.iter().all(|field| top.contains(field.name)), "{top}");
}

#[test]
fn a_path_that_is_not_there_is_a_usage_error_with_a_guess() {
    for (path, expected) in [
        ("routes.rate_limt.by", "`routes` has no field `rate_limt`: did you mean `routes.rate_limit`?"),
        ("rate_limit.by", "the file has no field `rate_limit`: did you mean `routes.rate_limit.by`?"),
        ("routes.name.x", "`routes.name` has no field `x`"),
        ("routes.jwt", "`jwt` in `routes` is not supported yet"),
        ("zzz", "the file has no field `zzz`"),
    ] {
        let output = legation(&["explain", path]);
        assert_eq!(output.status.code(), Some(2), "{path}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), format!("legation: {expected}\n"), "{path}");
    }
}
