//! Whatever the bytes are, loading ends, and in exactly one of two ways.

use proptest::prelude::*;

use crate::{fuzzed::check, support::REST};

/// Pieces that a file is made of, so that random files get beyond the YAML.
fn pieces() -> impl Strategy<Value = String> {
    let words = "name|port|match|prefix|path|cluster|clusters|api_key|rate_limit|limit|window|burst|by|plan|routes|x|\
                 consumers|endpoints|timeouts|request|svc|alice|consumer|/api|1m|0s|true|-1|8000|${env:X:-1}|${env:X|é|~|a:1";
    let words: Vec<&'static str> = words.split('|').collect();
    let marks =
        vec![": ", "- ", "{", "}", "[", "]", ", ", "\n", "\n  ", "\n- ", "\"", "'", "#", "&a ", "*a", "|", "\t"];
    let piece = prop_oneof![prop::sample::select(words), prop::sample::select(marks)];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// Values for a route's fields that are now right, now wrong.
fn values() -> impl Strategy<Value = String> {
    let values = [
        "1",
        "0",
        "-1",
        "1000000001",
        "99999999999999999999",
        "1m",
        "1ms",
        "366d",
        "367d",
        "0s",
        "x",
        "''",
        "pro",
        "alice",
        "svc",
        "true",
        "[]",
        "{}",
        "[alice]",
        "[pro]",
        "consumer",
        "ip",
        "x-api-key",
        "X_Consumer_Id",
        "~",
        "sse",
    ];
    prop::sample::select(values.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn any_bytes_give_a_model_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&bytes);
    }

    #[test]
    fn any_text_gives_a_model_or_an_error(text in "\\PC{0,200}") {
        check(text.as_bytes());
    }

    #[test]
    fn any_pieces_give_a_model_or_an_error(text in pieces()) {
        check(text.as_bytes());
    }

    #[test]
    fn any_pieces_after_a_good_file_give_a_model_or_an_error(text in pieces()) {
        check(format!("{REST}routes:\n- {text}").as_bytes());
    }

    #[test]
    fn whatever_limits_are_accepted_the_filter_accepts_too(
        limit in values(), window in values(), burst in values(), by in values(), plan in values(), name in values(),
        header in values(), consumers in values(), fields in 0u8..64
    ) {
        let optional = [
            format!("limit: {limit}"),
            format!("window: {window}"),
            format!("burst: {burst}"),
            format!("by: {by}"),
            format!("plan: {plan}"),
            format!("name: {name}"),
        ];
        let chosen: Vec<String> =
            optional.into_iter().enumerate().filter(|(index, _)| fields >> index & 1 == 1).map(|(_, field)| field).collect();
        let key = format!("{{header: {header}, consumers: {consumers}}}");
        let route = format!("{{name: r, match: {{prefix: /}}, cluster: svc, api_key: {key}, rate_limit: {{{}}}}}", chosen.join(", "));
        check(format!("{REST}routes:\n- {route}\n").as_bytes());
    }
}
