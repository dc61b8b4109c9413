//! What may stand in the file, as data: made from the declarations that the reader reads by, for
//! `legation schema`, `legation explain` and `docs/reference.md`.

mod explain;
mod json_schema;
mod reference;

pub use explain::{explain, explain_all};
pub use json_schema::json_schema;
pub use reference::reference;

use serde_json::Value as Json;

use super::{decode::Decode, file::File};

/// What may stand at a place in the file.
#[derive(Clone, Debug)]
pub enum Shape {
    /// A scalar.
    Leaf(Box<About>),
    /// A mapping with fields of its own.
    Mapping(Box<Mapping>),
    /// A list.
    List(Box<Shape>),
    /// One thing, or a list of such things.
    OneOrMany(Box<Shape>),
    /// A mapping whose keys the person chooses.
    Pairs {
        /// What the keys are.
        key: Box<About>,
        /// What stands beside each.
        value: Box<Shape>,
    },
    /// Any of these.
    Either(Vec<Shape>),
    /// A resource in Envoy's own words.
    EnvoyResource,
}

/// A kind of scalar.
#[derive(Clone, Debug)]
pub struct About {
    /// What the reference calls it.
    pub name: &'static str,
    /// What it says and how it is written.
    pub meaning: &'static str,
    /// Its JSON Schema.
    pub schema: Json,
    /// A good one.
    pub example: Json,
    /// If it is one of a few words: these, each with its meaning.
    pub words: Vec<(&'static str, &'static str)>,
}

/// A mapping with fields of its own.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// What messages call it.
    pub what: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// A good one, as YAML on one line.
    pub example: &'static str,
    /// Its fields.
    pub fields: Vec<Field>,
    /// Fields of which exactly one must be written.
    pub one_of: &'static [&'static str],
    /// Fields that the reader refuses as not supported yet.
    pub planned: Vec<&'static str>,
}

/// A field of a mapping.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Whether it must be written.
    pub required: bool,
    /// The value that counts where it is not written.
    pub default: Option<Json>,
    /// What it may be.
    pub shape: Shape,
}

impl Shape {
    /// The mappings in it: itself, or those of which it is a list or an alternative.
    fn mappings(&self) -> Vec<&Mapping> {
        match self {
            Self::Mapping(mapping) => vec![mapping],
            Self::List(item) | Self::OneOrMany(item) => item.mappings(),
            Self::Pairs { value, .. } => value.mappings(),
            Self::Either(shapes) => shapes.iter().flat_map(Self::mappings).collect(),
            Self::Leaf(_) | Self::EnvoyResource => Vec::new(),
        }
    }

    /// The kinds of scalars in it, apart from those inside of mappings.
    fn leaves(&self) -> Vec<&About> {
        match self {
            Self::Leaf(about) => vec![about],
            Self::List(item) | Self::OneOrMany(item) => item.leaves(),
            Self::Pairs { key, value } => [&**key].into_iter().chain(value.leaves()).collect(),
            Self::Either(shapes) => shapes.iter().flat_map(Self::leaves).collect(),
            Self::Mapping(_) | Self::EnvoyResource => Vec::new(),
        }
    }

    /// What follows the field's name in a path to something inside of it.
    fn suffix(&self) -> &'static str {
        match self {
            Self::List(_) => "[]",
            Self::Pairs { .. } => ".NAME",
            _ => "",
        }
    }

    /// Its type in words. `leaf` writes the name of a kind of scalar, `mapping` that of a mapping.
    fn words(&self, leaf: &dyn Fn(&About) -> String, mapping: &dyn Fn(&Mapping) -> String) -> String {
        let words = |shape: &Self| shape.words(leaf, mapping);
        match self {
            Self::Leaf(about) => leaf(about),
            Self::Mapping(of) => mapping(of),
            Self::List(item) => format!("list of {}", words(item)),
            Self::OneOrMany(item) => format!("{}, or a list of these", words(item)),
            Self::Pairs { key, value } => format!("mapping from {} to {}", leaf(key), words(value)),
            Self::Either(shapes) => shapes.iter().map(words).collect::<Vec<_>>().join(" or "),
            Self::EnvoyResource => "resource of Envoy with an `@type`".to_owned(),
        }
    }
}

impl About {
    /// Its name, with the bounds where it has some.
    fn title(&self) -> String {
        let bound = |name| self.schema.get(name).and_then(Json::as_u64);
        match (bound("minimum"), bound("maximum")) {
            (Some(least), Some(most)) if self.name == "integer" => format!("integer from {least} to {most}"),
            _ => self.name.to_owned(),
        }
    }
}

/// The whole file.
pub fn file() -> Mapping {
    match File::shape() {
        Shape::Mapping(mapping) => *mapping,
        _ => Mapping { what: "the file", doc: "", example: "", fields: Vec::new(), one_of: &[], planned: Vec::new() },
    }
}

/// All mappings of the file in its order, each once, with the path to it.
pub fn sections() -> Vec<(String, Mapping)> {
    let mut found = vec![(String::new(), file())];
    let mut next = 0;
    while let Some((path, mapping)) = found.get(next).cloned() {
        let mut inner = Vec::new();
        for field in &mapping.fields {
            for mapping in field.shape.mappings() {
                let known = found.iter().chain(&inner).any(|(_, known): &(String, Mapping)| known.what == mapping.what);
                if !known {
                    inner.push((format!("{}{}", joined(&path, field.name), field.shape.suffix()), mapping.clone()));
                }
            }
        }
        // Inner mappings follow theirs, as they do in the file.
        next += 1;
        found.splice(next..next, inner);
    }
    found
}

fn joined(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// A doc comment as one paragraph.
fn prose(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}
