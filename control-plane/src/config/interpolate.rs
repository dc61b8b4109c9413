//! `${env:NAME}` and `${env:NAME:-default}` in values.
//!
//! They are replaced after the YAML is parsed and in scalars only, so that nothing in a variable can become YAML.
//! `$${env:` stands for `${env:` itself.

use super::{
    code,
    node::{Node, Scalar, Span, Value},
    report::{Report, quoted},
};

const OPENING: &str = "${env:";

/// Replaces every variable below `node` by what `variable` says. An unset one without a default is reported.
pub fn interpolate(node: &mut Node, variable: &dyn Fn(&str) -> Option<String>, report: &mut Report) {
    match &mut node.value {
        Value::Null => {}
        Value::Scalar(scalar) if scalar.text.contains(OPENING) => replace(scalar, node.span, variable, report),
        Value::Scalar(_) => {}
        Value::List(items) => {
            for item in items {
                interpolate(item, variable, report);
            }
        }
        Value::Mapping(entries) => {
            for entry in entries {
                interpolate(&mut entry.node, variable, report);
            }
        }
    }
}

fn replace(scalar: &mut Scalar, at: Span, variable: &dyn Fn(&str) -> Option<String>, report: &mut Report) {
    let mut result = String::new();
    let mut rest = scalar.text.as_str();
    while let Some((before, after)) = rest.split_once(OPENING) {
        if let Some(literal) = before.strip_suffix('$') {
            result.push_str(literal);
            result.push_str(OPENING);
            rest = after;
            continue;
        }
        result.push_str(before);
        let Some((reference, after)) = after.split_once('}') else {
            let help = format!("write `$${{env:` where `{OPENING}` itself is meant");
            report.error_with_help(code::INVALID_VALUE, at, format!("`{OPENING}` without its `}}`"), Some(help));
            return;
        };
        let (name, default) = reference.split_once(":-").map_or((reference, None), |(name, text)| (name, Some(text)));
        if !is_variable_name(name) {
            let message = format!("{} is not the name of a variable: letters, digits and `_`", quoted(name));
            report.error(code::INVALID_VALUE, at, message);
        } else if let Some(value) = variable(name) {
            // As in a shell: an empty variable takes the default too.
            result.push_str(default.filter(|_| value.is_empty()).unwrap_or(&value));
            scalar.from_environment = true;
        } else if let Some(default) = default {
            result.push_str(default);
        } else {
            let help = format!("set it, or give a default: `${{env:{name}:-…}}`");
            report.error_with_help(
                code::UNSET_VARIABLE,
                at,
                format!("the environment has no variable `{name}`"),
                Some(help),
            );
        }
        rest = after;
    }
    let whole = scalar.text.starts_with(OPENING) && rest.is_empty();
    result.push_str(rest);
    scalar.plain = whole;
    scalar.text = result;
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
