//! Where keys are looked for, in any headers.

use legation_filter::api_key::source::{Found, Source};

use crate::envoy::{Header, apply, borrowed, count, headers};

/// The first byte says which place; the rest are headers. Once the keys are taken out there is
/// none, and nothing to take out, and all else is as it was.
pub fn check(bytes: &[u8]) {
    let Some((kind, lines)) = bytes.split_first() else { return };
    let source = match kind % 4 {
        0 => Source::Header("x-api-key".to_owned()),
        1 => Source::Bearer,
        2 => Source::Cookie("key".to_owned()),
        _ => Source::Query("key".to_owned()),
    };
    let before = headers(lines);
    // Envoy gives one path.
    if count(&before, b":path") > 1 {
        return;
    }
    let pairs = borrowed(&before);
    let found = source.find(&pairs);
    let mut edits = Vec::new();
    source.strip(&pairs, &mut edits);
    let after = apply(before.clone(), &edits);
    if !matches!(found, Found::Nothing) {
        assert_ne!(before, after, "{source:?} leaves a key");
    }
    let pairs = borrowed(&after);
    assert_eq!(source.find(&pairs), Found::Nothing, "{source:?} leaves a key: {after:?}");
    let mut more = Vec::new();
    source.strip(&pairs, &mut more);
    assert_eq!(more, [], "{source:?} is not done at once: {after:?}");
    assert_eq!(others(&source, &before), others(&source, &after), "{source:?} takes what is no key");
    let _ = (source.place(), source.challenge(Some("invalid_token")));
}

/// What is no place of keys.
fn others(source: &Source, headers: &[Header]) -> Vec<Header> {
    let own: &[u8] = match source {
        Source::Header(name) => name.as_bytes(),
        Source::Bearer => b"authorization",
        Source::Cookie(_) => b"cookie",
        Source::Query(_) => b":path",
    };
    let mut others: Vec<_> = headers.iter().filter(|(name, _)| name != own).cloned().collect();
    // Of the place itself, what stands beside the keys; none of these can be one.
    let (separator, is_key): (u8, fn(&[u8]) -> bool) = match source {
        Source::Cookie(_) => (b';', |part| part.is_empty() || part.starts_with(b"key=")),
        Source::Query(_) => (b'&', |part| part.contains(&b'k') || part.contains(&b'%')),
        Source::Header(_) | Source::Bearer => return others,
    };
    for (_, value) in headers.iter().filter(|(name, _)| name == own) {
        let value = match source {
            Source::Query(_) => value.splitn(2, |&byte| byte == b'?').nth(1).unwrap_or_default(),
            _ => value,
        };
        let parts = value.split(|&byte| byte == separator).map(<[u8]>::trim_ascii).filter(|part| !is_key(part));
        others.extend(parts.map(|part| (own.to_vec(), part.to_vec())));
    }
    others.retain(|(name, part)| name != b":path" || !part.is_empty());
    others
}
