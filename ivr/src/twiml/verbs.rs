//! The verbs: Say, Play, Pause, Gather, Record, Redirect, Reject, Refer, Hangup (TWILIO.md §4.1). Dial has a file of its
//! own.

use super::attributes::{Element, text_of};
use super::{Compiler, NO_URL, TwimlError, brief};
use crate::answer::{
    ALL_KEYS, Action, Fetch, Gather, Play, Record, RecordOptions, Refer, Say, Sound, Speech, Then, Verb, is_key,
    nearest,
};
use crate::http::{cut, link};
use crate::limits::{
    DEFAULT_RECORD_S, DEFAULT_TIMEOUT_S, DEFAULT_TRANSCRIBED_S, MAX_GATHER_DIGITS, MAX_LOOP, MAX_PAUSE_S, MAX_PROMPTS,
    MAX_SAY, MAX_SENT_DIGITS, MAX_SPEECH_S, MAX_TALK_S, MAX_TARGET_ADDRESS, MAX_TWIML_TIMEOUT_S,
};
use roxmltree::Node;

/// The verbs that are run.
const VERBS: &[&str] = &["Say", "Play", "Pause", "Gather", "Record", "Dial", "Redirect", "Reject", "Refer", "Hangup"];

/// Those that are not built yet.
const LATER: &[&str] = &[
    "Enqueue",
    "Leave",
    "Queue",
    "Connect",
    "Start",
    "Stop",
    "Stream",
    "Transcription",
    "Siprec",
    "Pay",
    "Prompt",
    "Sms",
    "Message",
    "Conversation",
    "Recording",
];

/// How a prompt of the switch is named where a file's URL would be.
const PROMPT: &str = "prompt:";

impl Compiler<'_> {
    pub(super) fn verb(&mut self, node: &Element<'_, '_>) -> Result<Option<Verb>, TwimlError> {
        let verb = match node.tag_name().name() {
            "Say" => self.say(node).map(Verb::Hear),
            "Play" => self.play(node).map(Verb::Hear),
            "Pause" => Some(Verb::Hear(self.pause(node))),
            "Gather" => Some(Verb::Gather(Box::new(self.gather(node)?))),
            "Record" => Some(Verb::Record(Box::new(self.record(node)))),
            "Dial" => self.dial(node)?,
            "Redirect" => Some(self.redirect(node)),
            "Reject" => Some(self.reject(node)),
            "Refer" => self.refer(node),
            "Hangup" => {
                self.attributes(node);
                Some(Verb::Hangup)
            }
            other => {
                self.unknown(node, other);
                None
            }
        };
        Ok(verb)
    }

    fn unknown(&mut self, node: &Element<'_, '_>, name: &str) {
        if LATER.contains(&name) {
            return self.warn(node, format!("`{name}` is not built yet: it is left out"));
        }
        let lower: Vec<String> = VERBS.iter().map(|verb| verb.to_ascii_lowercase()).collect();
        let meant = nearest(name, lower.iter().map(String::as_str));
        let meant = meant.and_then(|meant| VERBS.iter().find(|verb| verb.eq_ignore_ascii_case(meant)));
        let meant = meant.map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
        self.warn(node, format!("`{}` is no verb: {meant}it is left out", brief(name)));
    }

    fn say(&mut self, node: &Element<'_, '_>) -> Option<Sound> {
        self.attributes(node);
        let markup = node.children().any(|child| child.is_element());
        let whole = if markup { inside(node) } else { text_of(node) };
        if whole.is_empty() {
            self.warn(node, "`Say` has nothing to say: it is left out");
            return None;
        }
        let mut text = cut(&whole, MAX_SAY).to_owned();
        if text.len() < whole.len() {
            self.warn(node, format!("`Say` has at most {MAX_SAY} characters: the rest is cut"));
            if markup {
                // Markup that is cut is none.
                text = cut(&words_of(node), MAX_SAY).to_owned();
            }
        }
        Some(Sound::Say(Say {
            markup: markup && text.len() == whole.len(),
            text,
            voice: self.word(node, "voice"),
            language: self.word(node, "language"),
            repeat: self.number(node, "loop", 0..=MAX_LOOP, 1),
        }))
    }

    fn play(&mut self, node: &Element<'_, '_>) -> Option<Sound> {
        self.attributes(node);
        if let Some(keys) = node.attribute("digits") {
            return self.keys(node, "digits", keys).map(Sound::Digits);
        }
        let repeat = self.number(node, "loop", 0..=MAX_LOOP, 1);
        let said = text_of(node);
        if said.is_empty() {
            self.warn(node, "`Play` names no file: it is left out");
            return None;
        }
        if let Some(name) = said.strip_prefix(PROMPT) {
            return match name.parse() {
                Ok(prompt) => Some(Sound::Prompt(Play { prompt, repeat })),
                Err(why) => {
                    self.warn(node, format!("`Play` is left out: {why}"));
                    None
                }
            };
        }
        match link(&said, self.base) {
            Ok(url) => Some(Sound::Url { url, repeat }),
            Err(why) => {
                self.warn_of(NO_URL, node, &format!("`Play` is left out: {why}"));
                None
            }
        }
    }

    /// Keys that are sent: a telephone's, and `w` and `W` for silence.
    pub(super) fn keys(&mut self, node: &Element<'_, '_>, name: &str, keys: &str) -> Option<String> {
        let fits = (1..=MAX_SENT_DIGITS).contains(&keys.len());
        if fits && keys.chars().all(|key| is_key(key) || matches!(key, 'w' | 'W')) {
            return Some(keys.to_owned());
        }
        self.warn(node, format!("`{name}` is 1 to {MAX_SENT_DIGITS} of 0-9 * # A-D w W, not {:?}", brief(keys)));
        None
    }

    fn pause(&mut self, node: &Element<'_, '_>) -> Sound {
        self.attributes(node);
        Sound::Pause { seconds: self.number(node, "length", 1..=MAX_PAUSE_S, 1) }
    }

    fn gather(&mut self, node: &Element<'_, '_>) -> Result<Gather, TwimlError> {
        self.attributes(node);
        let timeout_s = self.number(node, "timeout", 0..=MAX_TWIML_TIMEOUT_S, DEFAULT_TIMEOUT_S);
        let (keys, speaks) = self.input(node);
        Ok(Gather {
            prompts: self.prompts(node)?,
            keys,
            speech: speaks.then(|| self.speech(node, timeout_s)),
            max_digits: self.number(node, "numDigits", 1..=MAX_GATHER_DIGITS, MAX_GATHER_DIGITS),
            timeout_s,
            finish_on: self.finish_key(node),
            then: Then::Ask(self.action_or_self(node)),
            asks_when_empty: self.flag(node, "actionOnEmptyResult", false),
            ..Gather::default()
        })
    }

    fn input(&mut self, node: &Element<'_, '_>) -> (bool, bool) {
        let both = (true, true);
        let words = [("dtmf", (true, false)), ("speech", (false, true)), ("dtmf speech", both), ("speech dtmf", both)];
        self.choice(node, "input", &words, (true, false))
    }

    fn speech(&mut self, node: &Element<'_, '_>, timeout_s: u32) -> Speech {
        let silence_s = match node.attribute("speechTimeout").map(str::trim) {
            Some("auto") => None,
            _ => Some(self.number(node, "speechTimeout", 1..=MAX_TWIML_TIMEOUT_S, timeout_s)),
        };
        let method = self.method(node, "partialResultCallbackMethod");
        let partial = node.attribute("partialResultCallback").filter(|said| !said.trim().is_empty());
        Speech {
            language: self.word(node, "language").unwrap_or_else(|| "en-US".to_owned()),
            hints: node.attribute("hints").map(|hints| cut(hints, MAX_SAY).to_owned()).unwrap_or_default(),
            model: self.word(node, "speechModel").unwrap_or_else(|| "default".to_owned()),
            enhanced: self.flag(node, "enhanced", false),
            profanity_filter: self.flag(node, "profanityFilter", true),
            silence_s,
            max_s: self.number(node, "maxSpeechTime", 1..=MAX_TWIML_TIMEOUT_S, MAX_SPEECH_S),
            barge_in: self.flag(node, "bargeIn", true),
            partial: partial.map(|said| Action { link: self.link(Some(said)), method }),
        }
    }

    fn finish_key(&mut self, node: &Element<'_, '_>) -> Option<char> {
        let Some(said) = node.attribute("finishOnKey") else { return Some('#') };
        let mut keys = said.chars();
        match (keys.next(), keys.next()) {
            (None, _) => None,
            (Some(key), None) if is_key(key) => Some(key),
            _ => {
                self.warn(node, format!("`finishOnKey` is one of 0-9 * #, or nothing, not {:?}: it is #", brief(said)));
                Some('#')
            }
        }
    }

    fn prompts(&mut self, node: &Element<'_, '_>) -> Result<Vec<Sound>, TwimlError> {
        let mut prompts = Vec::new();
        for child in node.children().filter(Node::is_element) {
            self.count(&child)?;
            let prompt = match child.tag_name().name() {
                "Say" => self.say(&child),
                "Play" => self.play(&child),
                "Pause" => Some(self.pause(&child)),
                other => {
                    let other = brief(other);
                    self.warn(&child, format!("`Gather` holds Say, Play and Pause: `{other}` is left out"));
                    None
                }
            };
            if prompts.len() < MAX_PROMPTS {
                prompts.extend(prompt);
            } else {
                self.warn(&child, format!("`Gather` holds at most {MAX_PROMPTS} prompts: this one is left out"));
            }
        }
        Ok(prompts)
    }

    fn record(&mut self, node: &Element<'_, '_>) -> Record {
        self.attributes(node);
        let transcribes = self.flag(node, "transcribe", false) || node.attribute("transcribeCallback").is_some();
        if transcribes {
            self.warn(node, "`transcribe` is not built yet: the recording is made and not transcribed");
        }
        let longest = if transcribes { DEFAULT_TRANSCRIBED_S } else { DEFAULT_RECORD_S };
        let options = RecordOptions {
            silence_s: self.number(node, "timeout", 0..=MAX_TWIML_TIMEOUT_S, DEFAULT_TIMEOUT_S),
            max_s: self.number(node, "maxLength", 2..=MAX_TALK_S, longest),
            beep: self.flag(node, "playBeep", true),
            trim: self.choice(node, "trim", &[("trim-silence", true), ("do-not-trim", false)], true),
        };
        Record {
            options,
            finish_on: self.finish_keys(node),
            then: Then::Ask(self.action_or_self(node)),
            callback: self.callback(node, "recordingStatusCallback", super::nouns::RECORDING, &["completed"]),
        }
    }

    fn finish_keys(&mut self, node: &Element<'_, '_>) -> String {
        match node.attribute("finishOnKey") {
            None => ALL_KEYS.to_owned(),
            Some(keys) if keys.len() <= 16 && keys.chars().all(is_key) => keys.to_owned(),
            Some(other) => {
                self.warn(node, format!("`finishOnKey` is of 0-9 * #, not {:?}: it is every key", brief(other)));
                ALL_KEYS.to_owned()
            }
        }
    }

    fn redirect(&mut self, node: &Element<'_, '_>) -> Verb {
        self.attributes(node);
        let action = Action { link: self.link(Some(&text_of(node))), method: self.method(node, "method") };
        Verb::Fetch(Box::new(Fetch { action, fallback: None }))
    }

    fn reject(&mut self, node: &Element<'_, '_>) -> Verb {
        self.attributes(node);
        Verb::Reject { status: self.choice(node, "reason", &[("rejected", 404), ("busy", 486)], 404) }
    }

    fn refer(&mut self, node: &Element<'_, '_>) -> Option<Verb> {
        self.attributes(node);
        let then = self.action(node).map_or(Then::Next, Then::Ask);
        let Some(sip) = node.children().find(|child| child.has_tag_name("Sip")) else {
            self.warn(node, "`Refer` holds a `Sip`: without one it is left out");
            return None;
        };
        self.attributes(&sip);
        let to = text_of(&sip);
        if !to.starts_with("sip") || to.len() > MAX_TARGET_ADDRESS {
            self.warn(&sip, format!("`Sip` is a URI such as sip:bob@example.com, not {:?}", brief(&to)));
            return None;
        }
        Some(Verb::Refer(Refer { to, then }))
    }
}

/// What stands between an element's tags, as it was written.
fn inside(node: &Element<'_, '_>) -> String {
    let (Some(first), Some(last)) = (node.first_child(), node.last_child()) else { return String::new() };
    let text = node.document().input_text();
    text.get(first.range().start..last.range().end).unwrap_or_default().trim().to_owned()
}

/// The words of an element and of those in it.
fn words_of(node: &Element<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|part| part.text()).collect::<String>().trim().to_owned()
}
