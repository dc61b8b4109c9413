//! `legation explain PATH`: what a field is for, what it may be and what it is unless written.

use super::{About, Field, Mapping, Shape, file, joined, prose, reference::plain, sections};

/// What is at the path: the names of fields with dots between them. List items and keys that the
/// person chose may be left out. The error says what is not there, and what was probably meant.
pub fn explain(path: &str) -> Result<String, String> {
    let mut here = vec![file()];
    let mut found: Option<Field> = None;
    let mut walked = String::new();
    for step in path.split('.').map(without_index).filter(|step| !step.is_empty()) {
        let field = here.iter().flat_map(|mapping| &mapping.fields).find(|field| field.name == step).cloned();
        let Some(field) = field else {
            // A key that the person chose, such as a header's name.
            if let Some(Field { shape: Shape::Pairs { .. }, .. }) = &found
                && !walked.ends_with(".NAME")
            {
                walked.push_str(".NAME");
                continue;
            }
            return Err(unknown(path, step, &walked, &here));
        };
        walked = joined(&walked, field.name);
        here = field.shape.mappings().into_iter().cloned().collect();
        found = Some(field);
    }
    let Some(field) = found else { return Ok(explain_all()) };
    let mut text = format!("{walked}\n\n{}\n\n", wrapped(&prose(field.doc), 2));
    text.push_str(&facts(&field));
    for mapping in &here {
        text.push_str(&part(mapping, &prose(field.doc)));
    }
    Ok(text)
}

/// What stands at the top of the file.
pub fn explain_all() -> String {
    let mut text = "The fields at the top of the file. `legation explain FIELD` says more of one.\n".to_owned();
    text.push_str(&fields(&file()));
    text
}

/// `routes[]` and `routes[0]` are `routes`.
fn without_index(step: &str) -> &str {
    step.split('[').next().unwrap_or(step)
}

fn unknown(path: &str, step: &str, walked: &str, here: &[Mapping]) -> String {
    let place = if walked.is_empty() { "the file".to_owned() } else { format!("`{walked}`") };
    if here.iter().any(|mapping| mapping.planned.contains(&step)) {
        return format!("`{step}` in {place} is not supported yet");
    }
    let nearby = here.iter().flat_map(|mapping| &mapping.fields).map(|field| joined(walked, field.name));
    let near = nearest(step, nearby.collect());
    let everywhere = sections().into_iter().flat_map(|(path, mapping)| {
        let path = path.replace("[]", "").replace(".NAME", "");
        let paths: Vec<String> = mapping.fields.iter().map(|field| joined(&path, field.name)).collect();
        paths
    });
    let everywhere: Vec<String> = everywhere.collect();
    let same_end = || everywhere.iter().find(|known| known.ends_with(&format!(".{path}"))).cloned();
    let help = match near.or_else(same_end).or_else(|| nearest(step, everywhere.clone())) {
        Some(meant) => format!(": did you mean `{meant}`?"),
        None => String::new(),
    };
    format!("{place} has no field `{step}`{help}")
}

/// The path whose last step is most like this one.
fn nearest(step: &str, paths: Vec<String>) -> Option<String> {
    let likeness = |path: &String| {
        let last = path.rsplit('.').next().unwrap_or_default();
        strsim::jaro_winkler(step, last)
    };
    let best = paths.into_iter().map(|path| (likeness(&path), path)).filter(|(likeness, _)| *likeness > 0.8);
    best.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, path)| path)
}

fn facts(field: &Field) -> String {
    let mut text = format!("  type:     {}\n", kind(&field.shape));
    match &field.default {
        Some(default) => text.push_str(&format!("  default:  {}\n", plain(default))),
        None if field.required => text.push_str("  required\n"),
        None => {}
    }
    for about in field.shape.leaves() {
        text.push_str(&format!("\n  {}: {}\n", about.title(), wrapped(&prose(about.meaning), 4).trim_start()));
        for (word, meaning) in &about.words {
            text.push_str(&format!("    {word:<16}{}\n", prose(meaning)));
        }
    }
    let example = match &field.shape {
        Shape::Leaf(about) => plain(&about.example),
        shape => shape.mappings().first().map(|mapping| mapping.example.to_owned()).unwrap_or_default(),
    };
    let example = match (&field.shape, example) {
        (_, example) if example.is_empty() => return text,
        (Shape::List(_), example) => format!("[{example}]"),
        (_, example) => example,
    };
    text + &format!("\n  example:  {}: {example}\n", field.name)
}

/// A mapping's own words and its fields.
fn part(mapping: &Mapping, said: &str) -> String {
    let mut text = String::new();
    let doc = prose(mapping.doc);
    if doc != said {
        text.push_str(&format!("\n{}\n", wrapped(&doc, 2)));
    }
    if !mapping.one_of.is_empty() {
        text.push_str(&format!("\n  Exactly one of these must be written: {}.\n", mapping.one_of.join(", ")));
    }
    text + &fields(mapping)
}

fn fields(mapping: &Mapping) -> String {
    let width = mapping.fields.iter().map(|field| field.name.len()).max().unwrap_or_default() + 2;
    let mut text = "\n  fields:\n".to_owned();
    for field in &mapping.fields {
        let mut notes = vec![kind(&field.shape)];
        notes.extend(field.required.then(|| "required".to_owned()));
        notes.extend(field.default.as_ref().map(|default| format!("default {}", plain(default))));
        let doc = prose(field.doc);
        let first = doc.split_once(". ").map_or(doc.as_str(), |(first, _)| first).trim_end_matches('.');
        text.push_str(&format!("    {:<width$}{first} ({})\n", field.name, notes.join(", ")));
    }
    text
}

fn kind(shape: &Shape) -> String {
    let leaf = |about: &About| match about.words.as_slice() {
        [] => about.title(),
        words => words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(" or "),
    };
    shape.words(&leaf, &|_| "mapping".to_owned())
}

/// The text in lines of at most 90 characters, indented.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let is_full = lines.last().is_some_and(|line| !line.is_empty() && line.len() + word.len() > 88 - indent);
        if is_full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.iter().map(|line| format!("{:indent$}{line}", "")).collect::<Vec<_>>().join("\n")
}
