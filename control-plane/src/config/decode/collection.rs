//! Lists, lists that may be one thing alone, and mappings whose keys the person chooses.

use super::{
    super::{
        describe::Shape,
        leaf::{Leaf, Written},
        node::{Entry, Node, Span, Value},
        report::Report,
    },
    Decode, Field, Said, What, entries, wrong_type,
};

/// A list.
#[derive(Debug)]
pub struct List<T> {
    /// As many as are written: `None` for each that was wrong, so that places can be counted.
    slots: Vec<Option<Said<T>>>,
}

impl<T> List<T> {
    /// As many as are written: `None` for each that was wrong.
    pub fn slots(&self) -> &[Option<Said<T>>] {
        &self.slots
    }
}

impl<T: Decode> Decode for List<T> {
    /// Nothing at all is an empty list, so that a list may be commented out item by item.
    fn decode(node: &Node, what: What<'_>, report: &mut Report) -> Option<Self> {
        match &node.value {
            Value::Null => Some(Self { slots: Vec::new() }),
            Value::List(nodes) => {
                let what = What::ItemOf(&what);
                Some(Self { slots: nodes.iter().map(|node| Said::decode(node, what, report)).collect() })
            }
            _ => wrong_type(node, what, "a list", None, report),
        }
    }

    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }
}

impl<T> Field<List<T>> {
    /// As many as are written, `None` for each that was wrong. Nothing where the list is not
    /// written.
    pub fn slots(&self) -> &[Option<Said<T>>] {
        self.get().map(|list| list.slots()).unwrap_or_default()
    }

    /// Its items that have the right shape. None where the list is not written.
    pub fn items(&self) -> impl Iterator<Item = &Said<T>> + Clone {
        self.slots().iter().flatten()
    }

    /// Whether nothing is in it, or it is not written. A list of nothing but wrong items is not
    /// empty.
    pub fn is_empty(&self) -> bool {
        match self.get() {
            Some(list) => list.slots.is_empty(),
            None => !self.is_written(),
        }
    }
}

/// One thing, or a list of such things.
#[derive(Debug)]
pub struct OneOrMany<T>(List<T>);

impl<T> OneOrMany<T> {
    /// As many as are written: `None` for each that was wrong.
    pub fn slots(&self) -> &[Option<Said<T>>] {
        self.0.slots()
    }
}

impl<T: Decode> Decode for OneOrMany<T> {
    fn decode(node: &Node, what: What<'_>, report: &mut Report) -> Option<Self> {
        match &node.value {
            Value::List(_) => List::decode(node, what, report).map(Self),
            _ => Some(Self(List { slots: vec![Some(Said::decode(node, what, report)?)] })),
        }
    }

    fn shape() -> Shape {
        Shape::OneOrMany(Box::new(T::shape()))
    }
}

impl<T> Field<OneOrMany<T>> {
    /// As many as are written, `None` for each that was wrong. Nothing where the field is not
    /// written.
    pub fn slots(&self) -> &[Option<Said<T>>] {
        self.get().map(|many| many.slots()).unwrap_or_default()
    }

    /// All of them that have the right shape. None where the field is not written.
    pub fn items(&self) -> impl Iterator<Item = &Said<T>> + Clone {
        self.slots().iter().flatten()
    }
}

/// A mapping whose keys are the person's own, in the file's order.
#[derive(Debug)]
pub struct Pairs<K, T>(Vec<(Said<K>, Option<Said<T>>)>);

impl<K, T> Pairs<K, T> {
    /// All of them whose key and value have the right shape.
    pub fn items(&self) -> impl Iterator<Item = (&Said<K>, &Said<T>)> {
        self.0.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)))
    }
}

impl<K, T> Field<Pairs<K, T>> {
    /// All of them whose key and value have the right shape. None where the mapping is not written.
    pub fn items(&self) -> impl Iterator<Item = (&Said<K>, &Said<T>)> {
        self.get().into_iter().flat_map(|pairs| pairs.value.items())
    }
}

impl<K: Leaf, T: Decode> Decode for Pairs<K, T> {
    fn decode(node: &Node, what: What<'_>, report: &mut Report) -> Option<Self> {
        let pair = |Entry { key, key_span, node }: &Entry, report: &mut Report| {
            let written = Written::of_key(key, *key_span);
            let value = Said::decode(node, What::Key(key), report);
            Some((said_key(K::read(&written, report)?, *key_span), value))
        };
        Some(Self(entries(node, what, report)?.iter().filter_map(|entry| pair(entry, report)).collect()))
    }

    fn shape() -> Shape {
        Shape::Pairs { key: Box::new(K::about()), value: Box::new(T::shape()) }
    }
}

fn said_key<K>(value: K, span: Span) -> Said<K> {
    Said { value, span, from_environment: false }
}
