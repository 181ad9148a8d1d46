//! SSML as it may reach a speech engine: only what changes how words are spoken. espeak-ng plays files that an `audio`
//! element names, and hands names to a shell on the way: none gets there. Pure.

use roxmltree::{Document, Node, NodeType};
use std::fmt::Write as _;

/// Elements that are kept, each with the attributes that are.
const KEPT: &[(&str, &[&str])] = &[
    ("break", &["strength", "time"]),
    ("emphasis", &["level"]),
    ("p", &[]),
    ("s", &[]),
    ("w", &["role"]),
    ("prosody", &["rate", "pitch", "volume", "range"]),
    ("say-as", &["interpret-as", "format"]),
    ("sub", &["alias"]),
    ("phoneme", &["alphabet", "ph"]),
];

/// `text` with its elements, inside `speak`; `None` where it is no XML. Of an element that is not kept the words are.
pub(super) fn speak(text: &str) -> Option<String> {
    let whole = format!("<speak>{text}</speak>");
    let document = Document::parse(&whole).ok()?;
    let mut out = "<speak>".to_owned();
    children(document.root_element(), &mut out);
    out.push_str("</speak>");
    Some(out)
}

/// The words alone.
pub(super) fn words(text: &str) -> String {
    let whole = format!("<speak>{text}</speak>");
    let Ok(document) = Document::parse(&whole) else { return text.to_owned() };
    document.descendants().filter(|node| node.is_text()).filter_map(|node| node.text()).collect()
}

fn children(node: Node<'_, '_>, out: &mut String) {
    for child in node.children() {
        match child.node_type() {
            NodeType::Text => escape(child.text().unwrap_or_default(), out),
            NodeType::Element => element(child, out),
            NodeType::Root | NodeType::Comment | NodeType::PI => {}
        }
    }
}

fn element(node: Node<'_, '_>, out: &mut String) {
    let Some((name, attributes)) = KEPT.iter().find(|(name, _)| *name == node.tag_name().name()) else {
        return children(node, out);
    };
    let _ = write!(out, "<{name}");
    for attribute in attributes.iter() {
        if let Some(value) = node.attribute(*attribute) {
            let _ = write!(out, " {attribute}=\"");
            escape(value, out);
            out.push('"');
        }
    }
    out.push('>');
    children(node, out);
    let _ = write!(out, "</{name}>");
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_the_words_reaches_an_engine() {
        let text = "Hello <break time=\"1s\" onclick=\"x\"/><emphasis level=\"strong\">you &amp; me</emphasis>";
        let wanted =
            "<speak>Hello <break time=\"1s\"></break><emphasis level=\"strong\">you &amp; me</emphasis></speak>";
        assert_eq!(speak(text).as_deref(), Some(wanted));
        let audio = "<audio src=\"/tmp/x&quot;; touch /tmp/y; &quot;.wav\">no <mark name=\"a\"/>file</audio>";
        assert_eq!(speak(audio).as_deref(), Some("<speak>no file</speak>"));
        assert_eq!(speak("a < b"), None);
        assert_eq!(words("Hello <break/><sub alias=\"x\">you</sub> &amp; me"), "Hello you & me");
        assert_eq!(words("a < b"), "a < b");
    }
}
