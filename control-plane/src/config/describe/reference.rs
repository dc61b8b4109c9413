//! `docs/reference.md`: a section for each part of the file, a row for each field.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{super::code, About, Mapping, prose, sections};

/// The whole reference in Markdown.
pub fn reference() -> String {
    let sections = sections();
    let titles: BTreeMap<&str, String> = sections.iter().map(|(path, mapping)| (mapping.what, title(path))).collect();
    let mut text = introduction();
    for (path, mapping) in &sections {
        text.push_str(&section(path, mapping, &titles));
    }
    text.push_str(&values(&sections));
    text.push_str(&codes());
    text
}

fn introduction() -> String {
    "<!-- Made from the declarations that the file is read by: UPDATE_GOLDEN=1 cargo test -p legation --test config -->\n\
     # What `gateway.yaml` may say\n\n\
     `legation explain PATH` prints an entry of this page, such as `legation explain routes.rate_limit.by`. Editors take\n\
     the same from [gateway.schema.json](gateway.schema.json), which `legation schema` prints:\n\n\
     ```yaml\n# yaml-language-server: $schema=PATH/gateway.schema.json\n```\n\n\
     - Unknown fields are errors.\n\
     - Each value may be `${env:NAME}` or `${env:NAME:-default}`, which the environment of the control plane fills in.\n  \
     `$${env:` stands for `${env:` itself.\n\
     - Anchors, aliases and merge keys (`<<`) work. The file has at most 16 MiB.\n\
     - Paths of files are relative to the folder of the gateway file.\n\n"
        .to_owned()
}

/// The heading of a section.
fn title(path: &str) -> String {
    if path.is_empty() { "The file".to_owned() } else { format!("`{path}`") }
}

/// The anchor that GitHub gives to a heading.
fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn section(path: &str, mapping: &Mapping, titles: &BTreeMap<&str, String>) -> String {
    let mut text = format!("## {}\n\n", title(path));
    let doc = prose(mapping.doc);
    if !doc.is_empty() {
        text.push_str(&format!("{doc}\n\n"));
    }
    if !mapping.example.is_empty() && !path.is_empty() {
        text.push_str(&format!("Example: `{}`\n\n", mapping.example));
    }
    if !mapping.one_of.is_empty() {
        let fields: Vec<String> = mapping.one_of.iter().map(|field| format!("`{field}`")).collect();
        text.push_str(&format!("Exactly one of these must be written: {}.\n\n", fields.join(", ")));
    }
    let linked = |mapping: &Mapping| {
        let title = titles.get(mapping.what).cloned().unwrap_or_default();
        format!("[mapping](#{})", anchor(&title))
    };
    text.push_str("| field | type | default | meaning |\n|---|---|---|---|\n");
    for field in &mapping.fields {
        let default = match (&field.default, field.required) {
            (Some(default), _) => format!("`{}`", plain(default)),
            (None, true) => "required".to_owned(),
            (None, false) => String::new(),
        };
        let (name, kind) = (field.name, field.shape.words(&kind, &linked));
        text.push_str(&format!("| `{name}` | {kind} | {default} | {} |\n", cell(&prose(field.doc))));
    }
    text.push('\n');
    if !mapping.planned.is_empty() {
        let planned: Vec<String> = mapping.planned.iter().map(|field| format!("`{field}`")).collect();
        text.push_str(&format!("Planned, and refused until then: {}.\n\n", planned.join(", ")));
    }
    text
}

/// A kind of scalar, with a link to what it is.
fn kind(about: &About) -> String {
    format!("[{}](#{})", about.title(), anchor(about.name))
}

fn values(sections: &[(String, Mapping)]) -> String {
    let mut known: BTreeMap<&str, &About> = BTreeMap::new();
    let fields = sections.iter().flat_map(|(_, mapping)| &mapping.fields);
    for about in fields.flat_map(|field| field.shape.leaves()) {
        known.entry(about.name).or_insert(about);
    }
    let mut text = "# Kinds of values\n\n".to_owned();
    for (name, about) in known {
        text.push_str(&format!("### {name}\n\n{}\n\n", prose(about.meaning)));
        for (word, meaning) in &about.words {
            text.push_str(&format!("- `{word}`: {}\n", prose(meaning)));
        }
        if about.words.is_empty() {
            text.push_str(&format!("Example: `{}`\n", plain(&about.example)));
        }
        text.push('\n');
    }
    text
}

fn codes() -> String {
    let mut text = "# Codes of diagnostics\n\n\
                    `legation validate`, the log and `/status` give each diagnostic one of these words. A word never gets\n\
                    another meaning.\n\n| code | meaning |\n|---|---|\n"
        .to_owned();
    for (word, meaning) in code::MEANINGS {
        text.push_str(&format!("| `{word}` | {} |\n", cell(&prose(meaning))));
    }
    text
}

/// A text that stands in a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// A value as it is written in YAML.
pub(super) fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
