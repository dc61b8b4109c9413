//! The places of a key in a request: finding the key, and removing it from what the upstream sees.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::headers::{Edit, Pair, values};

/// A place for keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The value of a header, whose name is in lower case.
    Header(String),
    /// The token of `authorization: Bearer` (RFC 6750, section 2.1).
    Bearer,
    /// The value of a cookie.
    Cookie(String),
    /// The value of a parameter of the query.
    Query(String),
}

/// The content of a source.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// No key, or an empty one.
    Nothing,
    /// A key.
    Key(Cow<'a, [u8]>),
    /// More than one key, empty ones included. Nobody knows which of them the upstream would
    /// believe.
    Several,
}

const AUTHORIZATION: &str = "authorization";
const COOKIE: &str = "cookie";
const PATH: &str = ":path";

impl Source {
    /// Looks for a key.
    #[must_use]
    pub fn find<'a>(&self, headers: &[Pair<'a>]) -> Found<'a> {
        match self {
            Self::Header(name) => only(values(headers, name).map(Cow::Borrowed)),
            Self::Bearer => {
                // Several credentials of any scheme count, since an upstream may take the first or
                // the last.
                let is_one = credentials(headers).nth(1).is_none();
                match credentials(headers).find_map(token) {
                    Some(key) if is_one => only(std::iter::once(Cow::Borrowed(key))),
                    Some(_) => Found::Several,
                    None => Found::Nothing,
                }
            }
            Self::Cookie(name) => only(cookies(headers).filter_map(|cookie| {
                let (other, value) = split_once(cookie, b'=')?;
                (other == name.as_bytes()).then_some(Cow::Borrowed(value))
            })),
            Self::Query(name) => {
                let parameters = values(headers, PATH).flat_map(|path| parameters(path).1);
                only(parameters.filter_map(|parameter| {
                    let (other, value) = split_once(parameter, b'=').unwrap_or((parameter, b""));
                    (*decoded(other) == *name.as_bytes()).then(|| decoded(value))
                }))
            }
        }
    }

    /// Removes all its keys from the request.
    pub fn strip<'a>(&'a self, headers: &[Pair<'a>], edits: &mut Vec<Edit<'a>>) {
        match self {
            Self::Header(name) if values(headers, name).next().is_some() => edits.push(Edit::Remove(name.as_bytes())),
            Self::Bearer if credentials(headers).any(|one| token(one).is_some()) => {
                edits.push(Edit::Remove(AUTHORIZATION.as_bytes()));
            }
            Self::Header(_) | Self::Bearer => {}
            Self::Cookie(name) => {
                let is_key =
                    |cookie: &&[u8]| split_once(cookie, b'=').is_some_and(|(other, _)| other == name.as_bytes());
                if !cookies(headers).any(|cookie| is_key(&cookie)) {
                    return;
                }
                let rest = cookies(headers).filter(|cookie| !is_key(cookie)).collect::<Vec<_>>().join(&b"; "[..]);
                let is_once = values(headers, COOKIE).nth(1).is_none();
                match (rest.is_empty(), is_once) {
                    (true, _) => edits.push(Edit::Remove(COOKIE.as_bytes())),
                    (false, true) => edits.push(Edit::Replace(COOKIE, rest.into())),
                    (false, false) => {
                        edits.push(Edit::Remove(COOKIE.as_bytes()));
                        edits.push(Edit::Add(COOKIE, rest.into()));
                    }
                }
            }
            Self::Query(name) => {
                let Some(path) = values(headers, PATH).next() else { return };
                let (before, all) = parameters(path);
                let is_key = |parameter: &&[u8]| {
                    let other = split_once(parameter, b'=').map_or(*parameter, |(name, _)| name);
                    *decoded(other) == *name.as_bytes()
                };
                let rest = all.clone().filter(|parameter| !is_key(parameter)).collect::<Vec<_>>();
                if rest.len() < all.count() {
                    let question = if rest.is_empty() { &b""[..] } else { b"?" };
                    edits.push(Edit::Replace(PATH, [before, question, &rest.join(&b'&')].concat().into()));
                }
            }
        }
    }

    /// Returns whether the key is in the request's path, which access logs show.
    #[must_use]
    pub fn is_in_path(&self) -> bool {
        matches!(self, Self::Query(_))
    }

    /// Returns the place in words: "the header x-api-key".
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Header(name) => format!("the header {name}"),
            Self::Bearer => "the header authorization, as a bearer token".to_owned(),
            Self::Cookie(name) => format!("the cookie {name}"),
            Self::Query(name) => format!("the query parameter {name}"),
        }
    }

    /// Returns the challenge of `WWW-Authenticate` (RFC 9110, section 11.6.1). `error` is one of
    /// RFC 6750, section 3.1. No scheme is registered for keys that are no bearer tokens, so a
    /// parameter names the place.
    #[must_use]
    pub fn challenge(&self, error: Option<&str>) -> String {
        let (scheme, place) = match self {
            Self::Header(name) => ("ApiKey", format!(r#", header="{name}""#)),
            Self::Cookie(name) => ("ApiKey", format!(r#", cookie="{name}""#)),
            Self::Query(name) => ("ApiKey", format!(r#", query="{name}""#)),
            Self::Bearer => ("Bearer", error.map(|error| format!(r#", error="{error}""#)).unwrap_or_default()),
        };
        format!(r#"{scheme} realm="legation"{place}"#)
    }
}

fn only<'a>(mut keys: impl Iterator<Item = Cow<'a, [u8]>>) -> Found<'a> {
    match (keys.next(), keys.next()) {
        (_, Some(_)) => Found::Several,
        (Some(key), None) if !key.is_empty() => Found::Key(key),
        _ => Found::Nothing,
    }
}

/// Returns all credentials of all `authorization` headers. Envoy joins several headers by commas. A
/// bearer token has no comma.
fn credentials<'a>(headers: &[Pair<'a>]) -> impl Iterator<Item = &'a [u8]> {
    values(headers, AUTHORIZATION).flat_map(|value| value.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii)
}

/// Returns the token of a credential with the scheme Bearer, in any case (RFC 9110, section 11.1).
fn token(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = split_once(value, b' ').unwrap_or((value, b""));
    scheme.eq_ignore_ascii_case(b"bearer").then(|| token.trim_ascii())
}

/// Returns all cookies of all `cookie` headers, as written. HTTP/2 may send one header for each.
fn cookies<'a>(headers: &[Pair<'a>]) -> impl Iterator<Item = &'a [u8]> {
    let all = values(headers, COOKIE).flat_map(|value| value.split(|&byte| byte == b';'));
    all.map(<[u8]>::trim_ascii).filter(|cookie| !cookie.is_empty())
}

/// Returns the path without its query, and the query's parameters as written.
fn parameters(path: &[u8]) -> (&[u8], impl Iterator<Item = &[u8]> + Clone) {
    let (before, query) = split_once(path, b'?').map_or((path, None), |(before, query)| (before, Some(query)));
    (before, query.into_iter().flat_map(|query| query.split(|&byte| byte == b'&')))
}

fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&byte| byte == separator)?;
    let (before, rest) = bytes.split_at_checked(at)?;
    Some((before, rest.get(1..)?))
}

/// Decodes a name or value of a query (`application/x-www-form-urlencoded`). A `%` without two
/// hexadecimal digits stands for itself.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query() -> Source {
        Source::Query("key".to_owned())
    }

    fn pairs<'a>(headers: &'a [(&'a str, &'a str)]) -> Vec<Pair<'a>> {
        headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect()
    }

    /// What is found, as text, and the edits that take it away.
    fn found(source: &Source, headers: &[(&str, &str)]) -> (String, Vec<String>) {
        let pairs = pairs(headers);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let found = match source.find(&pairs) {
            Found::Nothing => "-".to_owned(),
            Found::Key(key) => text(&key),
            Found::Several => "several".to_owned(),
        };
        let mut edits = Vec::new();
        source.strip(&pairs, &mut edits);
        let shown = edits.into_iter().map(|edit| match edit {
            Edit::Remove(name) => format!("-{}", text(name)),
            Edit::Add(name, value) => format!("+{name}={}", text(&value)),
            Edit::Replace(name, value) => format!("{name}={}", text(&value)),
        });
        (found, shown.collect())
    }

    #[test]
    fn a_bearer_token_is_found_in_any_case_and_other_schemes_are_left_alone() {
        for (values, key, edits) in [
            (&["Bearer k"][..], "k", &["-authorization"][..]),
            (&["bEARER   k "], "k", &["-authorization"]),
            (&["Bearer"], "-", &["-authorization"]),
            (&["Bearer "], "-", &["-authorization"]),
            (&["Basic k"], "-", &[]),
            (&["Bearerk"], "-", &[]),
            (&["Bearer k", "Bearer k"], "several", &["-authorization"]),
            (&["Basic x", "Bearer k"], "several", &["-authorization"]),
            (&["Basic x", "Basic y"], "-", &[]),
            (&["Basic x,Bearer k"], "several", &["-authorization"]),
            (&["Bearer k,Bearer k"], "several", &["-authorization"]),
            (&[r#"Digest username="u", realm="r""#], "-", &[]),
            (&[], "-", &[]),
        ] {
            let headers = values.iter().map(|value| ("authorization", *value)).collect::<Vec<_>>();
            let expected = (key.to_owned(), edits.iter().map(|edit| (*edit).to_owned()).collect());
            assert_eq!(found(&Source::Bearer, &headers), expected, "{values:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name_and_taken_out_of_the_others() {
        let source = Source::Cookie("key".to_owned());
        for (values, key, edits) in [
            (&["key=k"][..], "k", &["-cookie"][..]),
            (&["a=1; key=k; b=2"], "k", &["cookie=a=1; b=2"]),
            (&["a=1;key=k=x"], "k=x", &["cookie=a=1"]),
            (&["a=1", "key=k", "b=2"], "k", &["-cookie", "+cookie=a=1; b=2"]),
            (&["a=1", "key=k"], "k", &["-cookie", "+cookie=a=1"]),
            (&["key="], "-", &["-cookie"]),
            (&["akey=k; keys=k; key"], "-", &[]),
            (&["key=k; key=k"], "several", &["-cookie"]),
            (&["key=k; a=1", "key="], "several", &["-cookie", "+cookie=a=1"]),
            (&[], "-", &[]),
        ] {
            let headers = values.iter().map(|value| ("cookie", *value)).collect::<Vec<_>>();
            let expected = (key.to_owned(), edits.iter().map(|edit| (*edit).to_owned()).collect());
            assert_eq!(found(&source, &headers), expected, "{values:?}");
        }
    }

    #[test]
    fn a_parameter_is_found_however_it_is_escaped_and_the_rest_stays_as_it_is() {
        for (path, key, rest) in [
            ("/a?key=k", "k", Some("/a")),
            ("/a?x=%41&key=k&y", "k", Some("/a?x=%41&y")),
            ("/a?key=a%2bb+c%", "a+b c%", Some("/a")),
            ("/a?%6bey=k&b=1", "k", Some("/a?b=1")),
            ("/a?key", "-", Some("/a")),
            ("/a?key=", "-", Some("/a")),
            ("/a?key=k&%6Bey=k", "several", Some("/a")),
            ("/a?keys=k&akey=k", "-", None),
            ("/key=k", "-", None),
            ("/a?", "-", None),
            ("/a?x=?key=k", "-", None),
        ] {
            let edits = rest.map(|rest| format!(":path={rest}"));
            let expected = (key.to_owned(), edits.into_iter().collect());
            assert_eq!(found(&query(), &[(":path", path)]), expected, "{path}");
        }
    }

    proptest! {
        /// Whatever the path is, nothing of the key's name is left in it, and all else is.
        #[test]
        fn no_key_is_left(parameters in proptest::collection::vec("(key|%6bey|x|k%65y)(=[a-z%&]{0,5})?", 0..6)) {
            let path = format!("/?{}", parameters.join("&"));
            let headers = [(":path", path.as_str())];
            let pairs = pairs(&headers);
            let source = query();
            let mut edits = Vec::new();
            source.strip(&pairs, &mut edits);
            let after = edits.first().map_or(path.as_bytes(), |edit| match edit {
                Edit::Replace(":path", value) => value,
                other => panic!("{other:?}"),
            });
            prop_assert_eq!(source.find(&[(b":path", after)]), Found::Nothing);
            let names_key = |parameter: &&String| {
                let name = parameter.split('=').next().unwrap_or_default();
                name.replace("%6b", "k").replace("%65", "e") == "key"
            };
            let rest = parameters.iter().filter(|parameter| !names_key(parameter)).cloned().collect::<Vec<_>>().join("&");
            // A value that has a `&` in it is two parameters; the rest of it is no key, and stays.
            if parameters.iter().all(|parameter| !parameter.contains('&')) && rest.len() < path.len() - 2 {
                let expected = if rest.is_empty() { "/".to_owned() } else { format!("/?{rest}") };
                prop_assert_eq!(after, expected.as_bytes());
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(name in "[a-z:]{0,6}", value in proptest::collection::vec(any::<u8>(), 0..64)) {
            for header in [name.as_str(), "cookie", "authorization", ":path"] {
                let pairs = [(header.as_bytes(), value.as_slice())];
                for source in [Source::Bearer, Source::Cookie("a".into()), query(), Source::Header("a".into())] {
                    let _ = source.find(&pairs);
                    source.strip(&pairs, &mut Vec::new());
                }
            }
        }
    }
}
