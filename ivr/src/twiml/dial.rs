//! Dial: who is called, and how (TWILIO.md §4.1; §4.3, 6 to 12, 17 and 22).

use super::attributes::{Element, text_of};
use super::nouns::{Noun, RECORDING};
use super::{Compiler, TwimlError, brief};
use crate::answer::{Bridge, Conference, Mode, RINGBACK, RecordCall, RecordFrom, Target, Then, Verb};
use crate::limits::{DEFAULT_DIAL_LIMIT_S, DEFAULT_RING_S, MAX_NOUNS, MAX_RING_S, MAX_TALK_S};
use crate::prompt::PromptName;
use roxmltree::Node;

impl Compiler<'_> {
    pub(super) fn dial(&mut self, node: &Element<'_, '_>) -> Result<Option<Verb>, TwimlError> {
        self.attributes(node);
        let then = self.action(node).map_or(Then::Next, Then::Ask);
        let limit = self.number(node, "timeLimit", 1..=MAX_TALK_S, DEFAULT_DIAL_LIMIT_S);
        let star = self.flag(node, "hangupOnStar", false);
        let timeout_s = self.number(node, "timeout", 1..=MAX_RING_S, DEFAULT_RING_S);
        let verb = match self.nouns(node, timeout_s)? {
            Nouns::None => {
                self.warn(node, "`Dial` calls nobody: it is left out");
                None
            }
            Nouns::Room(room) => {
                let room = *room;
                let room = Conference { time_limit_s: Some(limit), hangup_on_star: star, then, ..room };
                Some(Verb::Conference(Box::new(room)))
            }
            Nouns::Called(targets) => {
                let bridge = self.bridge(node, targets, then)?;
                Some(Verb::Bridge(Box::new(Bridge { time_limit_s: Some(limit), hangup_on_star: star, ..bridge })))
            }
        };
        Ok(verb)
    }

    fn bridge(&mut self, node: &Element<'_, '_>, targets: Vec<Target>, then: Then) -> Result<Bridge, TwimlError> {
        if node.attribute("ringTone").is_some_and(|tone| tone.trim() != "automatic") {
            self.warn(node, "`ringTone` is not built yet but for `automatic`: the switch's own ringing is heard");
        }
        let refers = self.method(node, "referMethod");
        let ringback: PromptName =
            RINGBACK.parse().map_err(|why: crate::PromptNameError| self.error(node, why.to_string()))?;
        Ok(Bridge {
            targets,
            mode: if self.flag(node, "sequential", false) { Mode::Sequential } else { Mode::Simultaneous },
            caller_id: self.word(node, "callerId").filter(|number| !number.trim().is_empty()),
            ringback,
            time_limit_s: None,
            hangup_on_star: false,
            answer_on_bridge: self.flag(node, "answerOnBridge", false),
            record: self.record_call(node),
            then,
            on_refer: self.url(node, "referUrl").map(|url| (url, refers)),
        })
    }

    fn record_call(&mut self, node: &Element<'_, '_>) -> Option<RecordCall> {
        let (answer, ringing) = (RecordFrom::Answer, RecordFrom::Ringing);
        let words = [
            ("do-not-record", None),
            ("false", None),
            ("true", Some((answer, false))),
            ("record-from-answer", Some((answer, false))),
            ("record-from-ringing", Some((ringing, false))),
            ("record-from-answer-dual", Some((answer, true))),
            ("record-from-ringing-dual", Some((ringing, true))),
        ];
        let (from, dual) = self.choice(node, "record", &words, None)?;
        let tracks = [("both", "both"), ("inbound", "inbound"), ("outbound", "outbound")];
        Some(RecordCall {
            from,
            dual,
            track: self.choice(node, "recordingTrack", &tracks, "both").to_owned(),
            trim: self.choice(node, "trim", &[("do-not-trim", false), ("trim-silence", true)], false),
            callback: self.callback(node, "recordingStatusCallback", RECORDING, &["completed"]),
        })
    }

    /// The nouns, of one kind: those that ring, or one room.
    fn nouns(&mut self, node: &Element<'_, '_>, timeout_s: u32) -> Result<Nouns, TwimlError> {
        let mut found = Nouns::None;
        for child in node.children().filter(Node::is_element) {
            self.count(&child)?;
            let Some(noun) = self.noun(&child, timeout_s) else { continue };
            found = match (found, noun) {
                (Nouns::None, Noun::Room(room)) => Nouns::Room(room),
                (Nouns::None, Noun::Called(target)) => Nouns::Called(vec![*target]),
                (Nouns::Called(mut targets), Noun::Called(target)) if targets.len() < MAX_NOUNS => {
                    targets.push(*target);
                    Nouns::Called(targets)
                }
                (found @ Nouns::Called(_), Noun::Called(_)) => {
                    self.warn(&child, format!("`Dial` calls at most {MAX_NOUNS}: this one is left out"));
                    found
                }
                (found, _) => {
                    let name = brief(child.tag_name().name());
                    self.warn(&child, format!("`Conference` stands alone in a `Dial`: this `{name}` is left out"));
                    found
                }
            };
        }
        if matches!(found, Nouns::None) {
            // A text without a noun is a number (TWILIO.md §4.3, 22).
            let text = text_of(node);
            if let Some(to) = self.address(node, &text).filter(|_| !text.is_empty()) {
                found = Nouns::Called(vec![Target::new(to, timeout_s)]);
            }
        }
        Ok(found)
    }
}

/// Whom a Dial calls.
enum Nouns {
    None,
    Room(Box<Conference>),
    Called(Vec<Target>),
}
