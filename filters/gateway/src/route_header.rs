//! What Envoy says of a request's route in a header, so that the filter need not ask: to read the route's name as a property costs
//! more than all else that the filter does. The control plane has a filter before this one write it, by the route's own
//! configuration and over whatever a client sent; the route removes it before the upstream sees it.

/// The name of the header that the control plane has Envoy write.
pub const NAME: &str = "x-legation-route";

/// What stands between the route's name and the header that the route removes. No name of either has it.
const SEPARATOR: char = ';';

/// The value: the route's name, and a header that the route itself removes, which spares the filter that edit.
#[must_use]
pub fn value(route: &str, removes: Option<&str>) -> String {
    match removes {
        Some(header) => format!("{route}{SEPARATOR}{header}"),
        None => route.to_owned(),
    }
}

/// A value's parts.
pub(crate) fn parse(value: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = value.splitn(2, |&byte| char::from(byte) == SEPARATOR);
    (parts.next().unwrap_or_default(), parts.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for removes in [None, Some("x-api-key")] {
            let value = value("api/v1", removes);
            assert_eq!(parse(value.as_bytes()), (&b"api/v1"[..], removes.map(str::as_bytes)));
        }
        assert_eq!(parse(b""), (&b""[..], None));
    }
}
