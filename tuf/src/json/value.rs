//! A JSON text that has been read: where each value stands in it, in a few flat lists.
//!
//! A publish can be tens of megabytes of small values. A tree of maps and strings takes many times the size of its
//! text; these lists take about half of it, and are made without an allocation for each value.

use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{JsonError, MAX_NUMBER};

/// A JSON text and its values.
#[derive(Clone, Default)]
pub(crate) struct Tree {
    text: Bytes,
    /// The texts that are written with escapes, without them, one after the other.
    unescaped: String,
    members: Vec<Member>,
    elements: Vec<Node>,
    top: Node,
}

/// Part of a text. From the length of the document's text on, it is part of `unescaped`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    start: u32,
    length: u32,
}

/// Members or elements that follow each other in their list.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Range {
    start: u32,
    length: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum Node {
    #[default]
    Null,
    Bool(bool),
    Number(i64),
    Text(Span),
    Array(Range),
    Object(Range),
}

#[derive(Debug, Clone, Copy)]
struct Member {
    name: Span,
    value: Node,
}

/// A value of a [`Tree`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    /// Of at most [`MAX_NUMBER`].
    Number(i64),
    String(Text<'a>),
    Array(Array<'a>),
    Object(Object<'a>),
}

/// A text, and whether it was written with escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    pub(crate) text: &'a str,
    /// To most readers it makes no difference; Go reads times without undoing escapes.
    pub(crate) escaped: bool,
}

/// The elements of an array.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Array<'a> {
    tree: &'a Tree,
    elements: &'a [Node],
}

/// The members of an object, in the order of the bytes of their names, which is that of the canonical form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object<'a> {
    tree: &'a Tree,
    members: &'a [Member],
}

impl Tree {
    /// The whole value.
    pub(crate) fn top(&self) -> Json<'_> {
        self.json(self.top)
    }

    /// The text.
    pub(crate) fn text(&self) -> &Bytes {
        &self.text
    }

    fn json(&self, node: Node) -> Json<'_> {
        match node {
            Node::Null => Json::Null,
            Node::Bool(value) => Json::Bool(value),
            Node::Number(number) => Json::Number(number),
            Node::Text(span) => Json::String(Text {
                text: self.str(span),
                escaped: span.start as usize >= self.text.len(),
            }),
            Node::Array(range) => Json::Array(Array {
                tree: self,
                elements: range.of(&self.elements),
            }),
            Node::Object(range) => Json::Object(Object {
                tree: self,
                members: range.of(&self.members),
            }),
        }
    }

    fn bytes(&self, span: Span) -> &[u8] {
        span.of(&self.text, &self.unescaped)
    }

    /// The text was UTF-8 when it was read.
    fn str(&self, span: Span) -> &str {
        std::str::from_utf8(self.bytes(span)).unwrap_or_default()
    }
}

impl Span {
    fn of<'a>(self, text: &'a [u8], unescaped: &'a str) -> &'a [u8] {
        let (start, length) = (self.start as usize, self.length as usize);
        let (from, start) = match start.checked_sub(text.len()) {
            None => (text, start),
            Some(start) => (unescaped.as_bytes(), start),
        };
        from.get(start..start + length).unwrap_or_default()
    }
}

impl Range {
    fn of<T>(self, list: &[T]) -> &[T] {
        let start = self.start as usize;
        list.get(start..start + self.length as usize).unwrap_or_default()
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree")
            .field("length", &self.text.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Array<'a> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Json<'a>> + use<'a> {
        let tree = self.tree;
        self.elements.iter().map(|node| tree.json(*node))
    }
}

impl<'a> Object<'a> {
    /// The member of this name. A `null` counts as absent, as it does for Go.
    pub(crate) fn field(&self, name: &str) -> Option<Json<'a>> {
        let found = self
            .members
            .binary_search_by(|member| self.tree.bytes(member.name).cmp(name.as_bytes()))
            .ok()?;
        match self.members.get(found)?.value {
            Node::Null => None,
            value => Some(self.tree.json(value)),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a str, Json<'a>)> + use<'a> {
        let tree = self.tree;
        self.members
            .iter()
            .map(|member| (tree.str(member.name), tree.json(member.value)))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let tree = self.tree;
        self.members.iter().map(|member| tree.str(member.name))
    }
}

/// Reads a text into the lists of a tree.
pub(super) struct Reader<'t> {
    text: &'t str,
    unescaped: String,
    members: Vec<Member>,
    elements: Vec<Node>,
    /// What was read of objects and arrays that are not complete.
    open_members: Vec<Member>,
    open_elements: Vec<Node>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            unescaped: String::new(),
            members: Vec::new(),
            elements: Vec::new(),
            open_members: Vec::new(),
            open_elements: Vec::new(),
        }
    }

    /// Reads the value that comes next.
    pub(super) fn read<'de, D: Deserializer<'de>>(&mut self, from: D) -> Result<Top, D::Error> {
        Value(self).deserialize(from).map(Top)
    }

    pub(super) fn finish(self, Top(top): Top, text: Bytes) -> Tree {
        Tree {
            text,
            unescaped: self.unescaped,
            members: self.members,
            elements: self.elements,
            top,
        }
    }

    /// The JSON reader lends a string from the text only if it was written without escapes.
    fn borrowed<E: Error>(&self, part: &str) -> Result<Span, E> {
        let start = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        span(start, part.len())
    }

    fn unescaped<E: Error>(&mut self, part: &str) -> Result<Span, E> {
        let start = self.text.len() + self.unescaped.len();
        self.unescaped.push_str(part);
        span(start, part.len())
    }
}

/// The value of a whole text.
pub(super) struct Top(Node);

fn span<E: Error>(start: usize, length: usize) -> Result<Span, E> {
    match (u32::try_from(start), u32::try_from(length)) {
        (Ok(start), Ok(length)) => Ok(Span { start, length }),
        _ => Err(E::custom("the text is too long")),
    }
}

fn range<E: Error>(start: usize, length: usize) -> Result<Range, E> {
    span(start, length).map(|Span { start, length }| Range { start, length })
}

/// Reads a value.
struct Value<'r, 't>(&'r mut Reader<'t>);

/// Reads the name of a member.
struct Name<'r, 't>(&'r mut Reader<'t>);

fn not_an_integer<E: Error>(number: impl fmt::Display) -> E {
    E::custom(JsonError::Number(number.to_string()))
}

fn number<E: Error>(number: i64) -> Result<Node, E> {
    if (-MAX_NUMBER..=MAX_NUMBER).contains(&number) {
        Ok(Node::Number(number))
    } else {
        Err(not_an_integer(number))
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        number(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        i64::try_from(value).map_or_else(|_| Err(not_an_integer(value)), number)
    }

    /// Every number with a fraction or an exponent comes here, and so does `-0`.
    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Err(not_an_integer(format_args!("{value:?}")))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Node, E> {
        self.0.borrowed(value).map(Node::Text)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        self.0.unescaped(value).map(Node::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node, A::Error> {
        let reader = self.0;
        let open = reader.open_elements.len();
        while let Some(element) = elements.next_element_seed(Value(reader))? {
            reader.open_elements.push(element);
        }
        let start = reader.elements.len();
        reader.elements.extend(reader.open_elements.drain(open..));
        range(start, reader.elements.len() - start).map(Node::Array)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let reader = self.0;
        let open = reader.open_members.len();
        while let Some(name) = members.next_key_seed(Name(reader))? {
            let value = members.next_value_seed(Value(reader))?;
            reader.open_members.push(Member { name, value });
        }
        let Reader {
            text,
            unescaped,
            open_members,
            ..
        } = &mut *reader;
        let name = |member: &Member| member.name.of(text.as_bytes(), unescaped);
        let ordered = |pair: &[Member]| match pair {
            [one, other] => name(one) < name(other),
            _ => true,
        };
        let complete = open_members.get_mut(open..).unwrap_or_default();
        if !complete.windows(2).all(ordered) {
            complete.sort_by(|one, other| name(one).cmp(name(other)));
            if let Some([twice, _]) = complete.windows(2).find(|pair| !ordered(pair)) {
                let name = String::from_utf8_lossy(name(twice));
                return Err(A::Error::custom(format_args!(
                    "the member {name:?} is there twice, and readers differ in which of them counts"
                )));
            }
        }
        let start = reader.members.len();
        reader.members.extend(reader.open_members.drain(open..));
        range(start, reader.members.len() - start).map(Node::Object)
    }
}

impl<'de> DeserializeSeed<'de> for Name<'_, '_> {
    type Value = Span;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Span, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_, '_> {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Span, E> {
        self.0.borrowed(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Span, E> {
        self.0.unescaped(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn tree(text: &str) -> Tree {
        parse(&Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn object(tree: &Tree) -> Object<'_> {
        match tree.top() {
            Json::Object(object) => object,
            other => panic!("{other:?} is not an object"),
        }
    }

    #[test]
    fn a_field_is_the_member_of_exactly_that_name() {
        let tree = tree(r#"{"VERSION":2,"version":1,"Version":3,"version ":4}"#);
        assert!(matches!(object(&tree).field("version"), Some(Json::Number(1))));
        assert!(object(&tree).field("expires").is_none());
    }

    #[test]
    fn null_counts_as_absent() {
        assert!(object(&tree(r#"{"version":null}"#)).field("version").is_none());
    }

    #[test]
    fn members_are_in_the_order_of_the_bytes_of_their_names() {
        let tree = tree("{\"b\":1,\"\u{10000}\":4,\"\u{fb2e}\":3,\"a\":2,\"\\u0061a\":5}");
        let names: Vec<&str> = object(&tree).names().collect();
        assert_eq!(names, ["a", "aa", "b", "\u{fb2e}", "\u{10000}"]);
    }

    #[test]
    fn a_text_knows_whether_it_was_written_with_escapes() {
        let tree = tree(r#"{"a":"é/","b":"\u00e9/","c":""}"#);
        let text = |name| match object(&tree).field(name) {
            Some(Json::String(text)) => (text.text.to_owned(), text.escaped),
            other => panic!("{other:?}"),
        };
        assert_eq!(text("a"), ("é/".to_owned(), false));
        assert_eq!(text("b"), ("é/".to_owned(), true));
        assert_eq!(text("c"), (String::new(), false));
    }

    #[test]
    fn the_lists_take_less_than_the_text_of_a_usual_document() {
        let target = |n: usize| {
            format!(
                r#""v{n}":{{"hashes":{{"sha256":"{}","sha512":"{}"}},"length":{n}}}"#,
                "a".repeat(44),
                "b".repeat(88)
            )
        };
        let targets: Vec<String> = (0..1000).map(target).collect();
        let text = format!(r#"{{"signed":{{"targets":{{{}}}}}}}"#, targets.join(","));
        let tree = tree(&text);
        let lists = tree.members.len() * size_of::<Member>() + tree.elements.len() * size_of::<Node>();
        assert!(lists < text.len(), "{lists} {}", text.len());
    }
}
