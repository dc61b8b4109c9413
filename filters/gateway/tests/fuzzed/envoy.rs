//! Envoy, as far as what is fuzzed may see it: header lists made of any bytes, and the edits that
//! the filter asks for.

use legation_filter::headers::Edit;

pub type Header = (Vec<u8>, Vec<u8>);

/// Lines of a name, `: ` and a value, as headers; a line without `: ` has no value.
pub fn headers(lines: &[u8]) -> Vec<Header> {
    let lines = lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let header = |line: &[u8]| {
        let at = line.windows(2).position(|window| window == b": ").unwrap_or(line.len());
        (line[..at].to_vec(), line.get(at + 2..).unwrap_or_default().to_vec())
    };
    lines.map(header).collect()
}

/// Headers as Envoy hands them over.
#[allow(dead_code, reason = "not every target hands over bytes")]
pub fn encode(headers: &[Header]) -> Vec<u8> {
    let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let lengths = headers.iter().flat_map(|(name, value)| [number(name.len()), number(value.len())]);
    let texts = headers.iter().flat_map(|(name, value)| [name.as_slice(), b"\0", value, b"\0"]);
    [vec![number(headers.len())], lengths.collect()]
        .concat()
        .concat()
        .into_iter()
        .chain(texts.flatten().copied())
        .collect()
}

pub fn borrowed(headers: &[Header]) -> Vec<(&[u8], &[u8])> {
    headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect()
}

pub fn count(headers: &[Header], wanted: &[u8]) -> usize {
    headers.iter().filter(|(name, _)| name == wanted).count()
}

/// The headers after the edits, each of which must be one that Envoy makes as it is meant.
pub fn apply(mut headers: Vec<Header>, edits: &[Edit<'_>]) -> Vec<Header> {
    for edit in edits {
        match edit {
            Edit::Remove(name) => headers.retain(|(other, _)| other != name),
            Edit::Add(name, value) => {
                assert_eq!(count(&headers, name.as_bytes()), 0, "{name} is added and there");
                headers.push((name.as_bytes().to_vec(), value.to_vec()));
            }
            Edit::Replace(name, value) => {
                assert_eq!(count(&headers, name.as_bytes()), 1, "{name} is replaced and not there once");
                let old = headers.iter_mut().find(|(other, _)| other == name.as_bytes()).unwrap();
                old.1 = value.to_vec();
            }
        }
    }
    headers
}
