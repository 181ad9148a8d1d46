//! The nouns of a Dial: Number, Sip, Client, Conference (TWILIO.md §4.1).

use super::attributes::{Element, text_of};
use super::{Compiler, brief};
use crate::answer::machine;
use crate::answer::{Beep, Callback, Conference, ConferenceOptions, MachineDetection, Target, Then, Wait};
use crate::limits::{MAX_MEMBERS, MAX_SIP_HEADERS, MAX_TARGET_ADDRESS, MAX_WORD};
use roxmltree::Node;
use std::time::Duration;
use url::form_urlencoded;

/// One noun.
pub(super) enum Noun {
    Called(Box<Target>),
    Room(Box<Conference>),
}

/// Events of a recording.
pub(super) const RECORDING: &[&str] = &["in-progress", "completed", "absent"];

/// Events of a call.
const PROGRESS: &[&str] = &["initiated", "ringing", "answered", "completed"];

/// Events of a conference (TWILIO.md §3.6); those behind [`ROOM_TELLS`] are not built yet.
const ROOM: &[&str] = &["start", "end", "join", "leave", "mute", "hold", "modify", "speaker", "announcement"];
const ROOM_TELLS: usize = 6;

impl Compiler<'_> {
    pub(super) fn noun(&mut self, node: &Element<'_, '_>, timeout_s: u32) -> Option<Noun> {
        match node.tag_name().name() {
            "Number" => self.number_noun(node, timeout_s).map(|target| Noun::Called(Box::new(target))),
            "Sip" => self.sip(node, timeout_s).map(|target| Noun::Called(Box::new(target))),
            "Client" => self.client(node, timeout_s).map(|target| Noun::Called(Box::new(target))),
            "Conference" => self.conference(node).map(|room| Noun::Room(Box::new(room))),
            other @ ("Queue" | "Sim" | "WhatsApp" | "Application") => {
                self.warn(node, format!("`{other}` is not built yet: it is left out"));
                None
            }
            other => {
                self.warn(node, format!("`{}` is no noun of `Dial`: it is left out", brief(other)));
                None
            }
        }
    }

    fn number_noun(&mut self, node: &Element<'_, '_>, timeout_s: u32) -> Option<Target> {
        self.attributes(node);
        let to = self.address(node, &text_of(node))?;
        let keys = node.attribute("sendDigits");
        let send_digits = keys.and_then(|keys| self.keys(node, "sendDigits", keys));
        let machine = self.machine(node);
        Some(Target { send_digits, machine, ..self.called(node, to, timeout_s) })
    }

    /// Whether it is found out who has answered: beside the conversation, which does not wait for it.
    fn machine(&mut self, node: &Element<'_, '_>) -> Option<Box<MachineDetection>> {
        let modes = [("Enable", Some(false)), ("DetectMessageEnd", Some(true))];
        let until_end = self.choice(node, "machineDetection", &modes, None)?;
        let unsaid = MachineDetection::default();
        let limit_s = self.number(node, "machineDetectionTimeout", machine::LIMIT_S, unsaid.limit.as_secs() as u32);
        Some(Box::new(MachineDetection {
            waits: false,
            until_end,
            limit: Duration::from_secs(limit_s.into()),
            speech_ms: self.number(node, "machineDetectionSpeechThreshold", machine::SPEECH_MS, unsaid.speech_ms),
            speech_end_ms: self.number(
                node,
                "machineDetectionSpeechEndThreshold",
                machine::SPEECH_END_MS,
                unsaid.speech_end_ms,
            ),
            silence_ms: self.number(node, "machineDetectionSilenceTimeout", machine::SILENCE_MS, unsaid.silence_ms),
            callback: self.callback(node, "amdStatusCallback", &[], &[]),
            ..unsaid
        }))
    }

    /// What every noun that rings has.
    fn called(&mut self, node: &Element<'_, '_>, to: String, timeout_s: u32) -> Target {
        let method = self.method(node, "method");
        Target {
            screening: self.url(node, "url").map(|url| (url, method)),
            callback: self.callback(node, "statusCallback", PROGRESS, &["completed"]),
            ..Target::new(to, timeout_s)
        }
    }

    /// A number: its digits, without what people write between them.
    pub(super) fn address(&mut self, node: &Element<'_, '_>, text: &str) -> Option<String> {
        let bare: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.')).collect();
        let plain = !bare.is_empty() && bare.len() <= 64;
        let speaks = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '*' | '#' | '_');
        if plain && bare.chars().all(speaks) {
            return Some(bare);
        }
        if !text.is_empty() || node.has_tag_name("Number") {
            self.warn(node, format!("a number is such as +15551234567, not {:?}: it is left out", brief(text)));
        }
        None
    }

    fn sip(&mut self, node: &Element<'_, '_>, timeout_s: u32) -> Option<Target> {
        self.attributes(node);
        let text = text_of(node);
        let (to, headers) = text.split_once('?').unwrap_or((&text, ""));
        let speaks = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | ',');
        let is_uri = to.starts_with("sip:") || to.starts_with("sips:");
        if !is_uri || to.len() > MAX_TARGET_ADDRESS || !to.chars().all(speaks) {
            let instead =
                format!("`Sip` is a URI such as sip:bob@example.com of at most {MAX_TARGET_ADDRESS} characters");
            self.warn(node, format!("{instead}, not {:?}: it is left out", brief(to)));
            return None;
        }
        if headers.len() > MAX_SIP_HEADERS {
            self.warn(
                node,
                format!("the headers of a `Sip` have at most {MAX_SIP_HEADERS} characters: it is left out"),
            );
            return None;
        }
        let to = to.to_owned();
        let headers = self.headers(node, headers);
        let credentials = self.word(node, "username").zip(self.word(node, "password"));
        let machine = self.machine(node);
        Some(Target { credentials, headers, machine, ..self.called(node, to, timeout_s) })
    }

    /// Headers behind a URI's `?`; those that are not the caller's to set are left out.
    fn headers(&mut self, node: &Element<'_, '_>, query: &str) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let lower = name.to_ascii_lowercase();
            let may = lower.starts_with("x-") || lower == "user-to-user";
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && !value.contains(['\r', '\n']);
            if may && plain {
                headers.push((name.into_owned(), value.into_owned()));
            } else {
                self.warn(node, format!("a `Sip` sets headers X-… and User-to-User, not {:?}", brief(&name)));
            }
        }
        headers
    }

    fn client(&mut self, node: &Element<'_, '_>, timeout_s: u32) -> Option<Target> {
        self.attributes(node);
        let identity = node.children().find(|child| child.has_tag_name("Identity"));
        let name = identity.map_or_else(|| text_of(node), |identity| text_of(&identity));
        let bare = name.strip_prefix("client:").unwrap_or(&name);
        if bare.is_empty() || bare.len() > MAX_TARGET_ADDRESS || !bare.chars().all(|c| c.is_ascii_graphic()) {
            self.warn(node, format!("`Client` is a name such as alice, not {:?}: it is left out", brief(&name)));
            return None;
        }
        let to = bare.to_owned();
        let mut headers = Vec::new();
        for child in node.children().filter(Node::is_element) {
            match child.tag_name().name() {
                "Identity" => {}
                "Parameter" => headers.extend(self.parameter(&child)),
                other => self.warn(&child, format!("`{}` is no part of a `Client`", brief(other))),
            }
        }
        Some(Target { headers, ..self.called(node, to, timeout_s) })
    }

    /// A parameter for a client, which a SIP device gets as a header.
    fn parameter(&mut self, node: &Element<'_, '_>) -> Option<(String, String)> {
        self.attributes(node);
        let (name, value) = (node.attribute("name")?, node.attribute("value")?);
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !plain || name.len() + value.len() > MAX_WORD || value.contains(['\r', '\n']) {
            self.warn(node, "a `Parameter` has a name of letters, digits and -, and a short value: it is left out");
            return None;
        }
        Some((format!("X-{name}"), value.to_owned()))
    }

    fn conference(&mut self, node: &Element<'_, '_>) -> Option<Conference> {
        self.attributes(node);
        let room = text_of(node);
        if room.is_empty() || room.chars().count() > MAX_WORD {
            self.warn(node, format!("`Conference` has a name of at most {MAX_WORD} characters: it is left out"));
            return None;
        }
        let words =
            [("true", Beep::Both), ("false", Beep::Never), ("onEnter", Beep::OnEnter), ("onExit", Beep::OnExit)];
        let records = [("do-not-record", false), ("record-from-start", true), ("true", true), ("false", false)];
        let options = ConferenceOptions {
            muted: self.flag(node, "muted", false),
            beep: self.choice(node, "beep", &words, Beep::Both),
            start_on_enter: self.flag(node, "startConferenceOnEnter", true),
            end_on_exit: self.flag(node, "endConferenceOnExit", false),
            wait: self.wait(node),
            max_members: self.number(node, "maxParticipants", 2..=MAX_MEMBERS, MAX_MEMBERS),
            record: self.choice(node, "record", &records, false),
            trim: self.choice(node, "trim", &[("trim-silence", true), ("do-not-trim", false)], true),
            coach: self.word(node, "coach"),
            label: self.word(node, "participantLabel"),
            callback: self.room_callback(node),
            recording_callback: self.callback(node, "recordingStatusCallback", RECORDING, &["completed"]),
        };
        Some(Conference { room, options, time_limit_s: None, hangup_on_star: false, then: Then::Next })
    }

    /// Who is told of the conference; by the first member who names somebody.
    fn room_callback(&mut self, node: &Element<'_, '_>) -> Option<Callback> {
        let mut callback = self.callback(node, "statusCallback", ROOM, &["start", "end"])?;
        let (told, later) = ROOM.split_at(ROOM_TELLS);
        for event in callback.events.iter().filter(|event| later.contains(&event.as_str())) {
            self.warn(node, format!("`{event}` of a conference is not built yet: nobody is told of it"));
        }
        callback.events.retain(|event| told.contains(&event.as_str()));
        Some(callback)
    }

    /// Hold music where nothing is said, silence where nothing is named.
    fn wait(&mut self, node: &Element<'_, '_>) -> Wait {
        let method = self.method(node, "waitMethod");
        match node.attribute("waitUrl").map(str::trim) {
            None => Wait::Music,
            Some("") => Wait::Silence,
            Some(_) => self.url(node, "waitUrl").map_or(Wait::Music, |url| Wait::Document { url, method }),
        }
    }
}
