//! From bytes to a configuration: JSON, or the protobuf Struct that Envoy made of it.

use serde::Deserialize;

use super::json_path::path_at;
use super::text::Text;
use super::{Config, protobuf_struct};
use crate::problem::{Message, Path, Problem, Severity, Step, code};

/// The largest document, in bytes. It fits more than 100,000 consumers.
pub const MAX_BYTES: usize = 16 << 20;
/// The first byte of a Struct. JSON may begin with it, too, where it is a line break.
const STRUCT: u8 = 0x0a;

/// Reads a document and hands it to `make`.
pub(crate) fn document<T>(
    bytes: &[u8],
    make: impl FnOnce(&Config<Text<'_>>) -> Result<T, Vec<Problem>>,
) -> Result<T, Vec<Problem>> {
    let whole = |code, message: String| vec![problem(Path::default(), code, message)];
    if bytes.len() > MAX_BYTES {
        return Err(whole(code::TOO_LARGE, format!("the configuration is larger than {MAX_BYTES} bytes")));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        let message = "the configuration is empty; the least is {\"version\": 1}".to_owned();
        return Err(whole(code::EMPTY, message));
    }
    let json: String;
    // Reading and making take much code, so each is called in only one place.
    let config = match part(bytes) {
        Ok(config) => config,
        Err(problems) => {
            let is_struct = bytes.first() == Some(&STRUCT);
            let written = is_struct.then(|| protobuf_struct::decode(bytes)).flatten();
            json = written.ok_or(problems)?.to_string();
            part(json.as_bytes())?
        }
    };
    make(&config)
}

/// Reads JSON.
pub(crate) fn part<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Vec<Problem>> {
    serde_json::from_slice(json).map_err(|error| vec![form_problem(json, &error)])
}

/// Returns the problem with the form of a document, and its place.
fn form_problem(json: &[u8], error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let at = path_at(json, line, column);
    let mut message = error.to_string();
    // At the place of a digest the message must not quote the value, which may be the key itself:
    // messages go to a log.
    let is_field = |step: Option<&Step>, name: &str| matches!(step, Some(Step::Field(field)) if field == name);
    let is_pepper = at.0.len() == 1 && is_field(at.0.first(), "key_pepper");
    let has_keys = at.0.iter().any(|step| is_field(Some(step), "api_keys"));
    if (has_keys || is_pepper) && message.starts_with("invalid") {
        let wanted = if is_pepper { "a text" } else { r#"a list of keys such as [{"sha256": "…"}]"# };
        message = format!("not {wanted} at line {line} column {column}");
    }
    problem(at, code::SYNTAX, message)
}

fn problem(at: Path, code: &'static str, message: String) -> Problem {
    Problem { severity: Severity::Error, code, at, message: Message::from(message), help: None }
}
