//! XML as a tree, of documents that a tool prints: small enough to hold, and asked from several ends.

use std::io;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// How deep elements may lie in each other: more is no document of a tool, and dropping it would need the stack.
const DEPTH: usize = 100;

/// An element.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// Its name.
    pub name: String,
    attributes: Vec<(String, String)>,
    /// The elements in it.
    pub children: Vec<Element>,
    /// The text directly in it, trimmed.
    pub text: String,
}

impl Element {
    /// The document's outermost element.
    ///
    /// # Errors
    /// It is no XML, is cut short, or has no element.
    pub fn parse(text: &str) -> io::Result<Self> {
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Self> = vec![Self::default()];
        loop {
            match reader.read_event().map_err(wrong)? {
                Event::Start(start) if open.len() < DEPTH => open.push(Self::begin(&start)?),
                Event::Start(_) => return Err(wrong("too deep")),
                Event::Empty(start) => put(&mut open, Self::begin(&start)?),
                Event::End(_) => {
                    // The reader has seen to it that it closes what is open.
                    let element = open.pop().unwrap_or_default();
                    put(&mut open, element);
                }
                Event::Text(text) => add_text(&mut open, &text.decode().map_err(wrong)?),
                Event::CData(text) => add_text(&mut open, &text.decode().map_err(wrong)?),
                Event::Eof => break,
                _ => {}
            }
        }
        match (open.len(), open.pop().and_then(|document| document.children.into_iter().next())) {
            (1, Some(root)) => Ok(root),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn begin(start: &BytesStart) -> io::Result<Self> {
        let name = String::from_utf8_lossy(start.name().as_ref()).into_owned();
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(wrong)?;
            let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
            attributes.push((key, attribute.unescape_value().map_err(wrong)?.into_owned()));
        }
        Ok(Self { name, attributes, ..Self::default() })
    }

    /// The value of this attribute.
    #[must_use]
    pub fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == attribute).map(|(_, value)| value.as_str())
    }

    /// The elements of this name directly in it.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> + 'a {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first element of this name directly in it.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// It and every element below it, from the outside to the inside.
    pub fn walk(&self) -> impl Iterator<Item = &Self> {
        let mut todo = vec![self];
        std::iter::from_fn(move || {
            let next = todo.pop()?;
            todo.extend(next.children.iter().rev());
            Some(next)
        })
    }
}

fn put(open: &mut [Element], element: Element) {
    if let Some(parent) = open.last_mut() {
        parent.children.push(element);
    }
}

fn add_text(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text.trim());
    }
}

fn wrong(e: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_a_tree_of_elements_with_their_attributes_unescaped() {
        let root =
            Element::parse("<?xml version='1.0'?><!-- c --><a x='1 &amp; 2'><b/> <c> t </c><b y=\"z\"><d/></b></a>").unwrap();
        assert_eq!((root.name.as_str(), root.get("x"), root.get("y")), ("a", Some("1 & 2"), None));
        assert_eq!(root.all("b").map(|b| b.get("y")).collect::<Vec<_>>(), [None, Some("z")]);
        assert_eq!(root.first("c").unwrap().text, "t");
        assert_eq!(root.walk().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "b", "d"]);
    }

    #[test]
    fn what_is_cut_short_or_no_document_is_an_error_and_never_a_part_of_one() {
        let whole = "<a x='1'><b><c y=\"&lt;\"/></b>text</a>";
        for end in 0..whole.len() {
            assert!(Element::parse(&whole[..end]).is_err(), "{end}");
        }
        assert!(Element::parse(whole).is_ok());
        for text in ["", "text", "<a></b>", "<a x=1/>", "<a x='&nothing;'/>"] {
            assert!(Element::parse(text).is_err(), "{text}");
        }
        assert!(Element::parse(&"<a>".repeat(100_000)).is_err());
    }
}
