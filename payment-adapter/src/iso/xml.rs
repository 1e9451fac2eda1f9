//! XML read strictly into a small tree. A document type is refused whole, so nothing is expanded or fetched; there are no
//! entities but XML's own five and character references.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use schemas::R;

use super::bad;

/// No element nests deeper than this.
pub const MAX_DEPTH: usize = 32;
/// No document has more elements than this.
pub const MAX_ELEMENTS: usize = 1_000_000;
/// No element has more text than this, in bytes.
pub const MAX_TEXT: usize = 4096;
const MAX_ATTRIBUTES: usize = 16;

/// An element.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Node {
    /// Its name without prefix.
    pub name: String,
    /// Its default namespace, where it names one.
    pub namespace: Option<String>,
    /// Its attribute `Ccy`.
    pub currency: Option<String>,
    /// Its text without blanks around it.
    pub text: String,
    /// The elements in it.
    pub children: Vec<Node>,
}

impl Node {
    /// The first element in it with this name.
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|c| c.name == name)
    }

    /// All elements in it with this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |c| c.name == name)
    }

    /// The first element along a path, like `Refs/EndToEndId`.
    pub fn at(&self, path: &str) -> Option<&Node> {
        path.split('/').try_fold(self, |node, name| node.child(name))
    }

    /// The text there, where there is any.
    pub fn text_at(&self, path: &str) -> Option<&str> {
        self.at(path).map(|n| n.text.as_str()).filter(|t| !t.is_empty())
    }
}

/// Reads a document: UTF-8, one root (`PAYMENT_FILE` otherwise).
pub fn read(bytes: &[u8]) -> R<Node> {
    let text = std::str::from_utf8(bytes).map_err(|_| bad("a bank's file is UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let mut open: Vec<Node> = Vec::new();
    let mut root: Option<Node> = None;
    let mut elements = 0usize;
    loop {
        let event = reader.read_event().map_err(|_| bad("no well-formed XML"))?;
        match event {
            Event::Start(start) => {
                elements += 1;
                if root.is_some() || open.len() >= MAX_DEPTH || elements > MAX_ELEMENTS {
                    return Err(bad("too deep, too many elements, or more than one root"));
                }
                open.push(element(&start)?);
            }
            Event::Empty(start) => {
                elements += 1;
                if root.is_some() || open.len() >= MAX_DEPTH || elements > MAX_ELEMENTS {
                    return Err(bad("too deep, too many elements, or more than one root"));
                }
                close(element(&start)?, &mut open, &mut root);
            }
            Event::End(_) => {
                let node = open.pop().ok_or_else(|| bad("no well-formed XML"))?;
                close(node, &mut open, &mut root);
            }
            Event::Text(text) => add(&mut open, &text.decode().map_err(|_| bad("a bank's file is UTF-8"))?)?,
            Event::CData(text) => add(&mut open, &text.decode().map_err(|_| bad("a bank's file is UTF-8"))?)?,
            Event::GeneralRef(reference) => {
                let name = reference.decode().map_err(|_| bad("a bank's file is UTF-8"))?;
                match reference.resolve_char_ref().map_err(|_| bad("no well-formed XML"))? {
                    Some(character) => add(&mut open, character.encode_utf8(&mut [0; 4]))?,
                    None => {
                        add(&mut open, resolve_predefined_entity(&name).ok_or_else(|| bad("entities are refused"))?)?
                    }
                }
            }
            Event::DocType(_) => return Err(bad("a document type is refused")),
            Event::PI(_) => return Err(bad("processing instructions are refused")),
            Event::Decl(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    if !open.is_empty() {
        return Err(bad("no well-formed XML: it ends early"));
    }
    root.ok_or_else(|| bad("no XML"))
}

fn element(start: &BytesStart) -> R<Node> {
    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| bad("a bank's file is UTF-8"));
    let mut node = Node { name: utf8(start.local_name().as_ref())?, ..Node::default() };
    for (count, attribute) in start.attributes().with_checks(false).enumerate() {
        let attribute = attribute.map_err(|_| bad("no well-formed XML"))?;
        if count >= MAX_ATTRIBUTES || attribute.value.len() > MAX_TEXT {
            return Err(bad("too many or too long attributes"));
        }
        let name = attribute.key.as_ref();
        let own = start.name().prefix().map(|p| [b"xmlns:", p.as_ref()].concat());
        if name == b"xmlns" && own.is_none() || own.is_some_and(|own| name == own.as_slice()) {
            node.namespace = Some(utf8(&attribute.value)?);
        } else if name == b"Ccy" {
            node.currency = Some(utf8(&attribute.value)?);
        }
    }
    Ok(node)
}

fn close(mut node: Node, open: &mut [Node], root: &mut Option<Node>) {
    node.text = node.text.trim().to_owned();
    match open.last_mut() {
        Some(parent) => parent.children.push(node),
        None => *root = Some(node),
    }
}

fn add(open: &mut [Node], text: &str) -> R<()> {
    match open.last_mut() {
        Some(node) if node.text.len() + text.len() <= MAX_TEXT => node.text.push_str(text),
        Some(_) => return Err(bad("too long a text")),
        None if text.trim().is_empty() => {}
        None => return Err(bad("text outside of the document")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::Code;

    #[test]
    fn a_document_is_read_into_a_tree() {
        let text = "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?><!-- c --><p:A xmlns:p=\"urn:x\"><p:B Ccy=\"INR\"> 1&amp;&#x32;\
                    <![CDATA[<3>]]> </p:B><C/><p:B>z</p:B></p:A>\n";
        let root = read(text.as_bytes()).unwrap();
        assert_eq!((root.name.as_str(), root.namespace.as_deref()), ("A", Some("urn:x")));
        let first = root.child("B").unwrap();
        assert_eq!((first.text.as_str(), first.currency.as_deref()), ("1&2<3>", Some("INR")));
        assert_eq!(root.all("B").count(), 2);
        assert_eq!(root.text_at("C"), None);
    }

    #[test]
    fn bombs_entities_and_what_is_no_document_are_refused() {
        let laughs = "<!DOCTYPE a [<!ENTITY x \"ha\"><!ENTITY y \"&x;&x;&x;\">]><a>&y;</a>";
        let outside = "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>";
        let deep = format!("{}{}", "<a>".repeat(MAX_DEPTH + 1), "</a>".repeat(MAX_DEPTH + 1));
        let long = format!("<a>{}</a>", "x".repeat(MAX_TEXT + 1));
        let wide = format!("<a {}/>", (0..20).map(|n| format!("b{n}=\"1\" ")).collect::<String>());
        let cases = [
            laughs,
            outside,
            &deep,
            &long,
            &wide,
            "<a>&unknown;</a>",
            "<a>&#xFFFFFFFF;</a>",
            "<a><b></a></b>",
            "<a>",
            "</a>",
            "<a/><b/>",
            "<a/>text",
            "",
            "text",
            "<?php x ?><a/>",
            "<a b></a>",
        ];
        for case in cases {
            let refusal = read(case.as_bytes()).unwrap_err();
            assert_eq!(refusal.code, Code::PaymentFile, "{}", case.chars().take(60).collect::<String>());
        }
        assert_eq!(read(b"<a>\xff</a>").unwrap_err().code, Code::PaymentFile);
        let many = format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS));
        assert_eq!(read(many.as_bytes()).unwrap_err().code, Code::PaymentFile);
    }
}
