//! Attributes: what each may say, its default, and the warning where it says something else (TWILIO.md §4.1).

use super::{Compiler, NO_URL, brief, vocabulary};
use crate::answer::{Action, Callback, Link, nearest};
use crate::http::{Method, link};
use crate::limits::MAX_WORD;
use roxmltree::Node;
use std::ops::RangeInclusive;
use url::Url;

/// An element whose attributes are read.
pub(super) type Element<'a, 'i> = Node<'a, 'i>;

impl Compiler<'_> {
    /// Warns of attributes that the element does not have, and of those that this version does not heed yet.
    pub(super) fn attributes(&mut self, node: &Element<'_, '_>) {
        let name = node.tag_name().name();
        let inside_refer = name == "Sip" && node.parent().is_some_and(|parent| parent.has_tag_name("Refer"));
        let words = vocabulary::of(name).filter(|_| !inside_refer);
        let (known, later) = words.map_or((&[][..], &[][..]), |words| (words.known, words.later));
        for attribute in node.attributes().filter(|attribute| attribute.namespace().is_none()) {
            let word = attribute.name();
            if later.contains(&word) {
                self.warn(node, format!("`{word}` of `{name}` is not built yet: it is passed over"));
            } else if !known.contains(&word) {
                let meant = nearest(word, known.iter().copied());
                let meant = meant.map(|meant| format!(": did you mean `{meant}`?")).unwrap_or_default();
                self.warn(node, format!("`{}` is no attribute of `{}`{meant}", brief(word), brief(name)));
            }
        }
    }

    /// A word of at most [`MAX_WORD`] characters.
    pub(super) fn word(&mut self, node: &Element<'_, '_>, name: &str) -> Option<String> {
        let word = node.attribute(name)?;
        if word.chars().count() > MAX_WORD {
            self.warn(node, format!("`{name}` has at most {MAX_WORD} characters: it is passed over"));
            return None;
        }
        Some(word.to_owned())
    }

    /// `true` or `false`, in whatever case (TWILIO.md §4.3, 23).
    pub(super) fn flag(&mut self, node: &Element<'_, '_>, name: &str, unsaid: bool) -> bool {
        match node.attribute(name).map(|said| (said, said.trim().to_ascii_lowercase())) {
            None => unsaid,
            Some((_, lower)) if lower == "true" => true,
            Some((_, lower)) if lower == "false" => false,
            Some((said, _)) => {
                self.warn(node, format!("`{name}` is true or false, not {:?}: it is {unsaid}", brief(said)));
                unsaid
            }
        }
    }

    /// A whole number; out of its range, the nearest in it.
    pub(super) fn number(
        &mut self,
        node: &Element<'_, '_>,
        name: &str,
        range: RangeInclusive<u32>,
        unsaid: u32,
    ) -> u32 {
        let Some(said) = node.attribute(name) else { return unsaid };
        let Ok(number) = said.trim().parse::<u32>() else {
            self.warn(node, format!("`{name}` is a whole number, not {:?}: it is {unsaid}", brief(said)));
            return unsaid;
        };
        let near = number.clamp(*range.start(), *range.end());
        if near != number {
            let (least, most) = range.into_inner();
            self.warn(node, format!("`{name}` is {least} to {most}, not {number}: it is {near}"));
        }
        near
    }

    /// One of several words; the first is the default.
    pub(super) fn choice<T: Copy>(&mut self, node: &Element<'_, '_>, name: &str, words: &[(&str, T)], unsaid: T) -> T {
        let Some(said) = node.attribute(name) else { return unsaid };
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == said.trim()) {
            return *meaning;
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.warn(node, format!("`{name}` is one of {}, not {:?}: it has its default", known.join(", "), brief(said)));
        unsaid
    }

    pub(super) fn method(&mut self, node: &Element<'_, '_>, name: &str) -> Method {
        let said = node.attribute(name).map(|said| said.trim().to_ascii_uppercase());
        match said.as_deref() {
            None | Some("POST") => Method::Post,
            Some("GET") => Method::Get,
            Some(other) => {
                self.warn(node, format!("`{name}` is GET or POST, not {:?}: it is POST", brief(other)));
                Method::Post
            }
        }
    }

    /// Where an attribute or a text leads; nothing said is the current document.
    pub(super) fn link(&self, said: Option<&str>) -> Link {
        match said.map(str::trim).filter(|said| !said.is_empty()) {
            None => Link::Current,
            Some(said) => link(said, self.base).map_or_else(Link::Broken, Link::Url),
        }
    }

    /// `action` and `method`, where an action is named.
    pub(super) fn action(&mut self, node: &Element<'_, '_>) -> Option<Action> {
        let method = self.method(node, "method");
        let said = node.attribute("action").filter(|said| !said.trim().is_empty())?;
        Some(Action { link: self.link(Some(said)), method })
    }

    /// `action` and `method`, or the current document.
    pub(super) fn action_or_self(&mut self, node: &Element<'_, '_>) -> Action {
        let method = self.method(node, "method");
        self.action(node).unwrap_or(Action { link: Link::Current, method })
    }

    /// A URL of something that is no document of this call's: without it, that something does not happen.
    pub(super) fn url(&mut self, node: &Element<'_, '_>, name: &str) -> Option<Url> {
        let said = node.attribute(name).filter(|said| !said.trim().is_empty())?;
        match link(said, self.base) {
            Ok(url) => Some(url),
            Err(why) => {
                self.warn_of(NO_URL, node, &format!("`{name}` is passed over: {why}"));
                None
            }
        }
    }

    /// `…Callback`, `…CallbackMethod` and `…CallbackEvent`, of which events there are these; the default is named apart.
    pub(super) fn callback(
        &mut self,
        node: &Element<'_, '_>,
        name: &str,
        events: &[&str],
        unsaid: &[&str],
    ) -> Option<Callback> {
        let url = self.url(node, name)?;
        let method = self.method(node, &format!("{name}Method"));
        let attribute = format!("{name}Event");
        let Some(said) = node.attribute(attribute.as_str()) else {
            let events = unsaid.iter().map(|event| (*event).to_owned()).collect();
            return Some(Callback { url, method, events });
        };
        let mut wanted = Vec::new();
        for word in said.split([' ', ',']).filter(|word| !word.is_empty()) {
            if !events.contains(&word) {
                self.warn(node, format!("`{attribute}` has {}, not {:?}", events.join(", "), brief(word)));
            } else if !wanted.iter().any(|known| known == word) {
                wanted.push(word.to_owned());
            }
        }
        Some(Callback { url, method, events: wanted })
    }
}

/// The text of an element, its white space collapsed.
pub(super) fn text_of(node: &Element<'_, '_>) -> String {
    let parts = node.children().filter(Node::is_text).filter_map(|part| part.text());
    let whole: String = parts.collect();
    whole.split_whitespace().collect::<Vec<_>>().join(" ")
}
