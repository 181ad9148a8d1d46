//! What is said to a menu: the words of its choices, and which choice somebody has said.

use super::parse::Reader;
use super::states::Edge;
use crate::answer::Speech;
use crate::answer::parse::{Table, shorten, show};
use crate::limits::{MAX_PHRASES, MAX_WORD};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a caller may say instead of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phrase {
    /// In lower case, without punctuation; never none.
    words: Vec<String>,
    /// The key that leads to the same place.
    choice: String,
}

/// The words of a text, in lower case; whatever is neither letter nor digit parts them, but for an apostrophe.
fn words(text: &str) -> Vec<String> {
    let plain = text.to_lowercase().replace(['\'', '’'], "");
    plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The choice that was said: by its own key, or by the longest of the phrases that are in it, word for word. None where
/// no phrase is in it, or two as long that lead to different places: whoever says both has chosen neither.
pub(super) fn chosen<'a>(said: &str, phrases: &'a [Phrase], on: &'a BTreeMap<String, Edge>) -> Option<&'a str> {
    let said = words(said);
    if let Some((key, _)) = on.get_key_value(&said.concat()) {
        return Some(key);
    }
    let holds = |phrase: &&Phrase| said.windows(phrase.words.len()).any(|window| window == phrase.words.as_slice());
    let found: Vec<&Phrase> = phrases.iter().filter(holds).collect();
    let longest = found.iter().map(|phrase| phrase.words.len()).max()?;
    let mut best =
        found.into_iter().filter(|phrase| phrase.words.len() == longest).map(|phrase| phrase.choice.as_str());
    let first = best.next()?;
    best.all(|other| other == first).then_some(first)
}

impl Reader {
    /// `words` of a menu: what may be said for each of its choices. Where no `hints` are given, they are the hints.
    pub(super) fn phrases(
        &mut self,
        table: &Table,
        path: &str,
        on: &BTreeMap<String, Edge>,
        input: &mut (bool, Option<Speech>),
    ) -> Vec<Phrase> {
        let place = format!("{path}.words");
        let entries = match (table.get("words"), &input.1) {
            (None, None) => return Vec::new(),
            (Some(_), None) => {
                self.wrong(&place, "words are listened for where `input` is \"speech\" or \"both\"");
                return Vec::new();
            }
            (Some(Value::Object(entries)), Some(_)) if !entries.is_empty() => entries,
            (other, Some(_)) => {
                let found = other.map_or_else(|| "nothing".to_owned(), show);
                let instead = "what is said for each choice, such as { \"1\": [\"sales\", \"buy something\"] }";
                self.wrong(&place, format!("{instead}; found {found}"));
                return Vec::new();
            }
        };
        let mut phrases = Vec::new();
        let mut hints = Vec::new();
        for (choice, said) in entries {
            let place = format!("{place}.{}", shorten(choice));
            if !on.contains_key(choice) {
                self.wrong(
                    &place,
                    format!("`on` has no choice `{}`: words stand for one of its keys", shorten(choice)),
                );
            }
            for text in self.said(said, &place) {
                let phrase = Phrase { words: words(text), choice: choice.clone() };
                let same = |other: &&Phrase| other.words == phrase.words && other.choice != phrase.choice;
                if let Some(other) = phrases.iter().find(same) {
                    let other = &other.choice;
                    self.wrong(&place, format!("{:?} is said for `{}` already", shorten(text), shorten(other)));
                }
                hints.push(text);
                phrases.push(phrase);
            }
        }
        if !input.0 {
            for choice in on.keys().filter(|choice| !entries.contains_key(*choice)) {
                let instead = "nobody can choose this where only speech is listened to: give it `words`";
                self.wrong(&format!("{path}.on.{}", shorten(choice)), instead);
            }
        }
        if let Some(speech) = input.1.as_mut().filter(|speech| speech.hints.is_empty()) {
            speech.hints = hints.join(",");
        }
        phrases
    }

    /// The texts that stand for one choice.
    fn said<'a>(&mut self, value: &'a Value, path: &str) -> Vec<&'a str> {
        let items = match value {
            Value::Array(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        if items.is_empty() || items.len() > MAX_PHRASES {
            self.wrong(path, format!("1 to {MAX_PHRASES} texts, these are {}", items.len()));
            return Vec::new();
        }
        let mut texts = Vec::new();
        for item in items {
            match item.as_str().filter(|text| text.chars().count() <= MAX_WORD && !words(text).is_empty()) {
                Some(text) => texts.push(text),
                None => {
                    let instead = format!("a text of at most {MAX_WORD} characters with a word in it");
                    self.wrong(path, format!("{instead}; found {}", show(item)));
                }
            }
        }
        texts
    }
}
