//! `${env:NAME}` and `${env:NAME:-default}` in values.
//!
//! The reader replaces them after it has parsed the YAML, and in scalars only. So nothing in a
//! variable can become YAML. `$${env:` stands for `${env:` itself.

use super::{
    code,
    node::{Node, Scalar, Span, Value},
    report::{Report, quoted},
};

const OPENING: &str = "${env:";

/// Replaces every variable below `node` by what `variable` says. Reports each unset variable that
/// has no default.
pub fn interpolate(node: &mut Node, variable: &dyn Fn(&str) -> Option<String>, report: &mut Report) {
    match &mut node.value {
        Value::Scalar(scalar) if scalar.text.contains(OPENING) => {
            node.value = replaced(scalar, node.span, variable, report).map_or(Value::Reported, Value::Scalar);
        }
        Value::Scalar(_) | Value::Null | Value::Reported => {}
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

fn replaced(
    scalar: &Scalar,
    at: Span,
    variable: &dyn Fn(&str) -> Option<String>,
    report: &mut Report,
) -> Option<Scalar> {
    let mut result = Scalar { text: String::new(), plain: scalar.text.starts_with(OPENING), from_environment: false };
    let mut rest = scalar.text.as_str();
    while let Some((before, after)) = rest.split_once(OPENING) {
        if let Some(literal) = before.strip_suffix('$') {
            result.text.push_str(literal);
            result.text.push_str(OPENING);
            rest = after;
            continue;
        }
        result.text.push_str(before);
        let Some((reference, after)) = after.split_once('}') else {
            let help = format!("write `$${{env:` where `{OPENING}` itself is meant");
            report.error_with_help(code::INVALID_VALUE, at, format!("`{OPENING}` without its `}}`"), Some(help));
            return None;
        };
        let (name, default) = reference.split_once(":-").map_or((reference, None), |(name, text)| (name, Some(text)));
        // A variable may hold a secret. A default stands in the file.
        result.from_environment |= variable(name).is_some();
        result.text.push_str(&value(name, default, at, variable, report)?);
        rest = after;
    }
    result.text.push_str(rest);
    // A text can be a number only if all of it is a variable.
    result.plain &= rest.is_empty();
    Some(result)
}

/// What a variable holds, or the default where it is unset or empty, as in a shell.
fn value(
    name: &str,
    default: Option<&str>,
    at: Span,
    variable: &dyn Fn(&str) -> Option<String>,
    report: &mut Report,
) -> Option<String> {
    if !is_variable_name(name) {
        let message = format!("{} is not the name of a variable: letters, digits and `_`", quoted(name));
        report.error(code::INVALID_VALUE, at, message);
        return None;
    }
    match (variable(name), default) {
        (Some(value), None) => Some(value),
        (Some(value), Some(_)) if !value.is_empty() => Some(value),
        (_, Some(default)) => Some(default.to_owned()),
        (None, None) => {
            let message = format!("the environment has no variable `{name}`");
            let help = format!("set it, or give a default: `${{env:{name}:-…}}`");
            report.error_with_help(code::UNSET_VARIABLE, at, message, Some(help));
            None
        }
    }
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
