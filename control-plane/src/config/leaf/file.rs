//! Paths of files that the gateway file names.

use std::borrow::Cow;

use serde_json::json;

use super::{
    super::{code, describe::About, report::Report},
    Leaf, Written,
};

/// The path of a file: absolute, or relative to the folder of the gateway file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePath(pub String);

impl Leaf for FilePath {
    fn read(written: &Written<'_>, report: &mut Report) -> Option<Self> {
        if written.text.is_empty() || written.text.contains('\0') {
            let message = format!("{} must be the path of a file", written.what);
            return written.fault(code::INVALID_VALUE, message, None, report);
        }
        Some(Self(written.text.to_owned()))
    }

    fn about() -> About {
        let meaning = "The path of a file, absolute or relative to the folder of this file. \
                       The gateway watches the file and takes up what changes in it.";
        let schema = json!({"type": ["string", "number", "boolean"], "minLength": 1});
        About { name: "file path", meaning, schema, example: json!("certificates/gateway.pem"), words: Vec::new() }
    }

    fn text(&self) -> Cow<'_, str> {
        self.0.as_str().into()
    }
}
