//! Finds the path of a byte in a JSON document.
//!
//! The parser returns line and column of a mistake, but people want the path. A parser that keeps
//! the path would make the module a quarter larger and every configuration slower.

use crate::problem::{Path, Step};

/// Returns the path of the value at this line and column (both from 1, as in `serde_json`). Empty
/// for the whole document. It does not look beyond the byte, so the document need not be
/// well-formed.
pub(super) fn path_at(json: &[u8], line: usize, column: usize) -> Path {
    let before: usize = json.split_inclusive(|&byte| byte == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    let read = json.get(..before.saturating_add(column)).unwrap_or(json);
    let mut open: Vec<Open> = Vec::new();
    let mut bytes = read.iter();
    while let Some(&byte) = bytes.next() {
        if let (Some(Open::Item(place @ None)), false) = (open.last_mut(), byte.is_ascii_whitespace() || byte == b']') {
            *place = Some(0);
        }
        match byte {
            b'{' => open.push(Open::Field { name: String::new(), is_named: false }),
            b'[' => open.push(Open::Item(None)),
            b'}' | b']' => drop(open.pop()),
            b'"' => {
                let text = string(&mut bytes);
                if let Some(Open::Field { name, is_named: is_named @ false }) = open.last_mut() {
                    (*name, *is_named) = (text, true);
                }
            }
            b',' => match open.last_mut() {
                Some(Open::Item(place)) => *place = place.map(|place: usize| place.saturating_add(1)),
                Some(Open::Field { name, is_named }) => (*name, *is_named) = (String::new(), false),
                None => {}
            },
            _ => {}
        }
    }
    path(open)
}

/// An open object or list at the byte.
enum Open {
    /// A field of an object. Without a name, the field is still to come.
    Field { name: String, is_named: bool },
    /// An item of a list. Without a place, the first item is still to come.
    Item(Option<usize>),
}

/// Returns a string as written, after its opening quote, with its escapes.
fn string(bytes: &mut std::slice::Iter<'_, u8>) -> String {
    let mut text = Vec::new();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => text.extend([Some(byte), bytes.next().copied()].into_iter().flatten()),
            _ => text.push(byte),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn path(open: Vec<Open>) -> Path {
    let steps = open.into_iter().filter_map(|open| match open {
        Open::Field { name, is_named: true } => Some(Step::Field(name)),
        Open::Item(Some(place)) => Some(Step::Item(place)),
        Open::Field { .. } | Open::Item(None) => None,
    });
    Path(steps.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The path of the byte before `^`, which is no part of the document.
    fn path(marked: &str) -> String {
        let before = marked.split('^').next().unwrap();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap().len();
        path_at(marked.replace('^', "").as_bytes(), line, column).to_string()
    }

    #[test]
    fn a_byte_is_found_in_its_value() {
        for (marked, expected) in [
            ("{^", ""),
            (r#"{"a"^: 1}"#, "a"),
            (r#"{"a": -1^}"#, "a"),
            (r#"{"a": -1, "b": {"c": "x"^}}"#, "b.c"),
            ("{\"a\": [1, 2,\n  {\"b\": 3}, {\n \"c\": 4^}]}", "a[3].c"),
            (r#"{"a": [^"#, "a"),
            (r#"{"a": [ "x"^"#, "a[0]"),
            (r#"{"a": [], "b": [[], [0, 1^]]}"#, "b[1][1]"),
            (r#"{"a": {"b": 1}^}"#, "a"),
            (r#"{"a": {"b": 1}}^"#, ""),
            (r#"{"a": "[{,\"x\"", "b": 1^}"#, "b"),
            (r#"[{"a": 1}, {}^]"#, "[1]"),
        ] {
            assert_eq!(path(marked), expected, "{marked}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(json in proptest::collection::vec(any::<u8>(), 0..100), line: usize, column: usize) {
            let _ = path_at(&json, line, column);
            let _ = path_at(&json, 1, column % 100);
        }
    }
}
