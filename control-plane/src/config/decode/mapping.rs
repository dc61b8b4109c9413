//! Mappings with fields of their own: declared once, for the reader, the schema and the reference.

use super::{
    super::{
        code, describe,
        node::{Entry, Node, Span, Value},
        report::{Report, listed, one_of, quoted},
    },
    What, wrong_type,
};

/// A mapping that may be left out as a whole.
pub trait Unsaid: Sized {
    /// The mapping with nothing written in it. `span` is the place of whatever lacks it.
    fn unsaid(span: Span) -> Self;
}

/// Fields that a mapping has from elsewhere.
pub trait Part: Default {
    /// Their names.
    const NAMES: &'static [&'static str];

    /// Names of fields that are planned.
    const PLANNED: &'static [&'static str];

    /// Reads the entry if it is one of them. Returns whether it is.
    fn take(&mut self, entry: &Entry, report: &mut Report) -> bool;

    /// What is to be said of them.
    fn fields() -> Vec<describe::Field>;
}

/// The entries of a mapping. Nothing at all is an empty one: `api_key:` is `api_key: {}`.
pub fn entries<'a>(node: &'a Node, what: What<'_>, report: &mut Report) -> Option<&'a [Entry]> {
    match &node.value {
        Value::Null => Some(&[]),
        Value::Mapping(entries) => Some(entries),
        _ => wrong_type(node, what, "a mapping", None, report),
    }
}

/// Reports a field that the mapping does not have. Returns whether it is at least planned.
pub fn unknown_field(entry: &Entry, what: &str, fields: &[&str], planned: &[&str], report: &mut Report) -> bool {
    let shown = quoted(&entry.key);
    if planned.contains(&entry.key.as_str()) {
        report.error(code::NOT_SUPPORTED_YET, entry.key_span, format!("{shown} is not supported yet"));
        return true;
    }
    let help = report
        .did_you_mean(&entry.key, fields.iter().copied())
        .or_else(|| Some(report.did_you_mean(&entry.key, planned.iter().copied())? + " It is not supported yet"))
        .unwrap_or_else(|| format!("it may be {}", one_of(fields)));
    report.error_with_help(code::UNKNOWN_FIELD, entry.key_span, format!("{what} has no field {shown}"), Some(help));
    false
}

/// Reports a field that must be there and is not.
pub fn missing_field(at: Span, what: &str, field: &str, report: &mut Report) {
    report.missing(at, format!("{what} needs a field `{field}`"), None);
}

/// Reports every field but the first where only one of them may be written, and reports where
/// none is. `may_lack` is set where a planned field may say the same.
pub fn one_of_many(
    fields: &[(&'static str, Option<Span>)],
    what: &str,
    help: Option<&str>,
    at: Span,
    may_lack: bool,
    report: &mut Report,
) {
    let mut written: Vec<(Span, &str)> = fields.iter().filter_map(|(name, key)| Some(((*key)?, *name))).collect();
    written.sort();
    if let [(_, first), others @ ..] = written.as_slice() {
        for (at, other) in others {
            report.error(code::CONFLICT, *at, format!("only one of {} may be written", listed(&[first, other])));
        }
    } else if !may_lack {
        let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        report.missing(at, format!("{what} needs one of {}", listed(&names)), help.map(str::to_owned));
    }
}

/// Declares a mapping of the file: a struct with a [`Field`](super::Field) for each field, how to
/// read it, and what the schema and the reference say of it. Doc comments are for the person who
/// writes the file.
///
/// After the type's name stands what messages call it, then an example.
///
/// - `required` fields must be written. `optional` ones may have a default after `=`, which the
///   reader fills in.
/// - Where a planned field is written, a field marked `unless_planned` is not called missing: the
///   planned one may say the same.
/// - `one_of` names fields of which exactly one must be written.
/// - `part` is a [`Part`](super::Part): fields that are declared elsewhere.
/// - `planned` fields are refused by name.
macro_rules! mapping {
    (
        $(#[doc = $doc:literal])*
        $name:ident, $what:literal, $example:literal {
            $( $(#[doc = $field_doc:literal])* $presence:ident $field:ident: $type:ty $(= $default:expr)?, )*
        }
        $(one_of: $($one:ident)* $(, $one_help:literal)?;)?
        $(part: $part:ident: $part_type:ty;)?
        $(planned: $($planned:ident)*;)?
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug)]
        pub struct $name {
            $( $(#[doc = $field_doc])* pub $field: $crate::config::decode::Field<$type>, )*
            $(
                /// Fields that are declared elsewhere.
                pub $part: $part_type,
            )?
            /// Whether a planned field is among those written, so that it may say what else is
            /// missing.
            #[allow(dead_code, reason = "not every mapping's rules need it")]
            pub has_planned: bool,
        }

        impl $crate::config::decode::Unsaid for $name {
            fn unsaid(span: $crate::config::node::Span) -> Self {
                let _ = span;
                Self {
                    $( $field: $crate::config::decode::mapping!(@unsaid span $($default)?), )*
                    $( $part: <$part_type>::default(), )?
                    has_planned: false,
                }
            }
        }

        impl $crate::config::decode::Decode for $name {
            fn decode(
                node: &$crate::config::node::Node,
                what: $crate::config::decode::What<'_>,
                report: &mut $crate::config::report::Report,
            ) -> Option<Self> {
                const PLANNED: &[&str] = &[$($(stringify!($planned)),*)?];
                const FIELDS: &[&str] = &[$($crate::config::decode::word(stringify!($field))),*];
                let entries = $crate::config::decode::entries(node, what, report)?;
                let mut read = <Self as $crate::config::decode::Unsaid>::unsaid(node.span);
                for entry in entries {
                    match entry.key.as_str() {
                        $( key if key == const { $crate::config::decode::word(stringify!($field)) } => {
                            read.$field = $crate::config::decode::Field::decode(entry, report);
                        } )*
                        $( _ if <$part_type as $crate::config::decode::Part>::take(
                            &mut read.$part, entry, report,
                        ) => {} )?
                        _ => {
                            #[allow(unused_mut, reason = "only some mappings have a part")]
                            let (mut fields, mut planned) = (FIELDS.to_vec(), PLANNED.to_vec());
                            $(
                                fields.extend_from_slice(<$part_type as $crate::config::decode::Part>::NAMES);
                                planned.extend_from_slice(<$part_type as $crate::config::decode::Part>::PLANNED);
                            )?
                            read.has_planned |=
                                $crate::config::decode::unknown_field(entry, $what, &fields, &planned, report);
                        }
                    }
                }
                if read.has_planned {
                    report.mark_lacking(node.span);
                }
                $( $crate::config::decode::mapping!(@check $presence $field read node report $what); )*
                $(
                    let fields = [
                        $(($crate::config::decode::word(stringify!($one)), read.$one.key())),*
                    ];
                    #[allow(unused_mut, unused_assignments, reason = "only some have help")]
                    let mut help = None;
                    $( help = Some($one_help); )?
                    $crate::config::decode::one_of_many(
                        &fields, $what, help, node.span, read.has_planned, report,
                    );
                )?
                Some(read)
            }

            fn shape() -> $crate::config::describe::Shape {
                #[allow(unused_mut, reason = "only some mappings have a part")]
                let mut fields = vec![
                    $( $crate::config::describe::Field {
                        name: $crate::config::decode::word(stringify!($field)),
                        doc: concat!($($field_doc, "\n"),*),
                        required: $crate::config::decode::mapping!(@required $presence),
                        default: $crate::config::decode::mapping!(@default $type $(, $default)?),
                        shape: <$type as $crate::config::decode::Decode>::shape(),
                    }, )*
                ];
                #[allow(unused_mut, reason = "only some mappings have a part")]
                let mut planned: Vec<&'static str> = vec![$($(stringify!($planned)),*)?];
                $(
                    fields.extend(<$part_type as $crate::config::decode::Part>::fields());
                    planned.extend_from_slice(<$part_type as $crate::config::decode::Part>::PLANNED);
                )?
                $crate::config::describe::Shape::Mapping(Box::new($crate::config::describe::Mapping {
                    what: $what,
                    doc: concat!($($doc, "\n"),*),
                    example: $example,
                    fields,
                    one_of: const { &[$($($crate::config::decode::word(stringify!($one))),*)?] },
                    planned,
                }))
            }
        }
    };
    (@unsaid $span:ident) => { Default::default() };
    (@unsaid $span:ident $default:expr) => { $crate::config::decode::Field::with_default($default, $span) };
    (@default $type:ty) => { None };
    (@default $type:ty, $default:expr) => { Some(<$type as $crate::config::leaf::Leaf>::json(&$default)) };
    (@required optional) => { false };
    (@required $other:ident) => { true };
    (@check unless_planned $field:ident $read:ident $node:ident $report:ident $what:literal) => {
        if !$read.has_planned {
            $crate::config::decode::mapping!(@check required $field $read $node $report $what);
        }
    };
    (@check required $field:ident $read:ident $node:ident $report:ident $what:literal) => {
        if !$read.$field.is_written() {
            let field = $crate::config::decode::word(stringify!($field));
            $crate::config::decode::missing_field($node.span, $what, field, $report);
        }
    };
    (@check optional $field:ident $read:ident $node:ident $report:ident $what:literal) => {};
}
pub(crate) use mapping;

/// A field's word in the file: Rust's without the `r#` that keywords take.
pub const fn word(rust: &'static str) -> &'static str {
    match rust.as_bytes() {
        [b'r', b'#', ..] => rust.split_at(2).1,
        _ => rust,
    }
}
