//! The JSON Schema of the file, for editors and other programs.

use legation_protos::ResourceType;
use serde_json::{Map, Value as Json, json};

use super::{About, Field, Mapping, Shape, file, prose};

/// The name of the definition of `${env:NAME}`.
const VARIABLE: &str = "variable";

/// The JSON Schema (2020-12) of the file. Fields that are planned are not in it.
pub fn json_schema() -> Json {
    let mut definitions = Map::new();
    let variable = json!({
        "title": "a variable of the environment",
        "description": "A text with `${env:NAME}` or `${env:NAME:-default}` in it.",
        "type": "string",
        "pattern": r"\$\{env:",
    });
    definitions.insert(VARIABLE.to_owned(), variable);
    let Json::Object(mut whole) = mapping(&file(), &mut definitions) else { return Json::Null };
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("$id".to_owned(), "urn:legation:gateway.schema.json:1".into());
    whole.insert("title".to_owned(), "Legation's gateway file, version 1".into());
    schema.append(&mut whole);
    schema.insert("$defs".to_owned(), definitions.into());
    schema.into()
}

fn shape(of: &Shape, definitions: &mut Map<String, Json>) -> Json {
    match of {
        Shape::Leaf(about) => leaf(about, definitions),
        Shape::Mapping(of) => {
            let name = slug(of.what);
            if !definitions.contains_key(&name) {
                let made = mapping(of, definitions);
                definitions.insert(name.clone(), made);
            }
            reference(&name)
        }
        Shape::List(item) => json!({"type": ["array", "null"], "items": shape(item, definitions)}),
        Shape::OneOrMany(item) => {
            let item = shape(item, definitions);
            json!({"anyOf": [item, {"type": "array", "items": item}]})
        }
        Shape::Pairs { key, value } => {
            let value = shape(value, definitions);
            json!({"type": ["object", "null"], "propertyNames": key.schema, "additionalProperties": value})
        }
        Shape::Either(shapes) => {
            let shapes: Vec<Json> = shapes.iter().map(|of| shape(of, definitions)).collect();
            json!({"anyOf": shapes})
        }
        Shape::EnvoyResource => {
            let types: Vec<&str> = ResourceType::ALL.into_iter().map(ResourceType::type_url).collect();
            json!({"type": "object", "required": ["@type"], "properties": {"@type": {"enum": types}}})
        }
    }
}

fn mapping(of: &Mapping, definitions: &mut Map<String, Json>) -> Json {
    let fields: Map<String, Json> = of.fields.iter().map(|of| (of.name.to_owned(), field(of, definitions))).collect();
    let required: Vec<&str> = of.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    // Nothing at all is an empty mapping, which is enough where nothing must be written.
    let may_be_null = required.is_empty() && of.one_of.is_empty();
    let mut schema = json!({
        "title": of.what.replace('`', ""),
        "description": prose(of.doc),
        "type": if may_be_null { json!(["object", "null"]) } else { json!("object") },
        "properties": fields,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        put(&mut schema, "required", json!(required));
    }
    if !of.one_of.is_empty() {
        put(&mut schema, "oneOf", of.one_of.iter().map(|field| json!({"required": [field]})).collect());
    }
    if let Ok(example) = serde_yaml::from_str::<Json>(of.example) {
        put(&mut schema, "examples", json!([example]));
    }
    schema
}

fn field(of: &Field, definitions: &mut Map<String, Json>) -> Json {
    let mut schema = shape(&of.shape, definitions);
    put(&mut schema, "description", prose(of.doc).into());
    if let Some(default) = &of.default {
        put(&mut schema, "default", default.clone());
    }
    schema
}

fn put(schema: &mut Json, key: &str, value: Json) {
    if let Json::Object(fields) = schema {
        fields.insert(key.to_owned(), value);
    }
}

fn leaf(about: &About, definitions: &mut Map<String, Json>) -> Json {
    let mut with_variable = json!({
        "title": about.title(),
        "description": described(about),
        "anyOf": [about.schema, reference(VARIABLE)],
        "examples": [about.example],
    });
    let name = slug(&about.title());
    let known = definitions.entry(name.clone()).or_insert_with(|| with_variable.clone());
    if *known == with_variable { reference(&name) } else { with_variable.take() }
}

/// Its meaning, and that of each of its words.
fn described(about: &About) -> String {
    let words = about.words.iter().map(|(word, meaning)| format!(" `{word}`: {}", prose(meaning)));
    prose(about.meaning) + &words.collect::<String>()
}

fn reference(name: &str) -> Json {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// A name for a definition: `a listener's `tls`` is `listener-tls`.
fn slug(what: &str) -> String {
    let plain = what.replace("'s", "").replace('`', "").to_ascii_lowercase();
    let articles = ["a", "an", "the", "one", "of"];
    let words = plain.split_whitespace().filter(|word| !articles.contains(word));
    words.collect::<Vec<_>>().join("-")
}
