//! An output as one line of a transcript: what a simulation prints, and what tests compare.

use super::io::Output;
use crate::answer::{
    Bridge, Callback, ConferenceOptions, MachineDetection, Mode, RecordFrom, RecordOptions, Say, Speech, Wait,
};
use crate::http::{Body, HttpRequest, Method};
use std::fmt;
use url::Url;

/// Parameters that every request carries: a line does not repeat them.
const ALWAYS: &[&str] =
    &["CallSid", "AccountSid", "From", "To", "Caller", "Called", "ApiVersion", "Direction", "ParentCallSid"];

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer => f.write_str("answer"),
            Self::Play { play, prompt, repeat } => write!(f, "play {} {prompt}{}", play.0, times(*repeat)),
            Self::PlayUrl { play, url, repeat } => write!(f, "play {} {url}{}", play.0, times(*repeat)),
            Self::Say { play, say } => said(f, play.0, say),
            Self::SendDigits { play, keys } => write!(f, "digits {} {keys}", play.0),
            Self::StopPlay { play } => write!(f, "stop {}", play.0),
            Self::Listen { listen, speech } => listens(f, listen.0, speech),
            Self::StopListen { listen } => write!(f, "stop-listen {}", listen.0),
            Self::Record { record, options } => records(f, record.0, options),
            Self::StopRecord { record } => write!(f, "stop-record {}", record.0),
            Self::Bridge { bridge, with } => bridges(f, bridge.0, with),
            Self::Unbridge { bridge } => write!(f, "unbridge {}", bridge.0),
            Self::Conference { conference, room, options } => joins(f, conference.0, room, options),
            Self::LeaveConference { conference } => write!(f, "leave {}", conference.0),
            Self::Refer { refer, to } => write!(f, "refer {} {to}", refer.0),
            Self::Fetch { fetch, request } => {
                write!(f, "fetch {} ", fetch.0)?;
                asks(f, request)
            }
            Self::Flow { fetch, name } => write!(f, "flow {} {name}", fetch.0),
            Self::Callback { request } | Self::Tell { request, .. } => {
                f.write_str("callback ")?;
                asks(f, request)
            }
            Self::Warning(warning) => write!(f, "warning {} {}", warning.code, warning.message),
            Self::Echo(on) => f.write_str(if *on { "echo" } else { "stop-echo" }),
            Self::Gathered(gathered) => {
                let what = gathered.speech.as_ref().unwrap_or(&gathered.digits);
                write!(f, "got {what:?} {:?} {}", gathered.reason, gathered.attempt)
            }
            Self::Reject { status } => write!(f, "reject {status}"),
            Self::Join => f.write_str("join"),
            Self::Hangup => f.write_str("hangup"),
            Self::Timeout(Some(at)) => write!(f, "wake {}", at / base::millis(1)),
            Self::Timeout(None) => f.write_str("waits"),
        }
    }
}

fn times(repeat: u32) -> String {
    if repeat == 1 { String::new() } else { format!(" x{repeat}") }
}

/// A word that is only said where it is not the default.
fn flag(f: &mut fmt::Formatter<'_>, said: bool, word: &str) -> fmt::Result {
    if said { write!(f, " {word}") } else { Ok(()) }
}

fn value(f: &mut fmt::Formatter<'_>, name: &str, value: Option<&str>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {name}={value}"))
}

/// A URL, and how it is asked for where that is not by POST.
fn place(url: &Url, method: Method) -> String {
    if method == Method::Get { format!("GET:{url}") } else { url.to_string() }
}

/// Who is told, and of what.
fn told(callback: &Callback) -> String {
    format!("{}:{}", place(&callback.url, callback.method), callback.events.join(","))
}

fn said(f: &mut fmt::Formatter<'_>, play: u32, say: &Say) -> fmt::Result {
    write!(f, "say {play} {:?}", say.text)?;
    flag(f, say.markup, "ssml")?;
    value(f, "voice", say.voice.as_deref())?;
    value(f, "language", say.language.as_deref())?;
    f.write_str(&times(say.repeat))
}

fn listens(f: &mut fmt::Formatter<'_>, listen: u32, speech: &Speech) -> fmt::Result {
    write!(f, "listen {listen} {} max={}", speech.language, speech.max_s)?;
    match speech.silence_s {
        Some(seconds) => write!(f, " silence={seconds}")?,
        None => f.write_str(" silence=auto")?,
    }
    flag(f, speech.model != "default", &format!("model={}", speech.model))?;
    flag(f, !speech.hints.is_empty(), &format!("hints={:?}", speech.hints))?;
    flag(f, speech.enhanced, "enhanced")?;
    flag(f, !speech.profanity_filter, "unfiltered")?;
    flag(f, !speech.barge_in, "no-barge-in")
}

fn records(f: &mut fmt::Formatter<'_>, record: u32, options: &RecordOptions) -> fmt::Result {
    write!(f, "record {record} silence={} max={}", options.silence_s, options.max_s)?;
    flag(f, options.beep, "beep")?;
    flag(f, options.trim, "trim")
}

fn bridges(f: &mut fmt::Formatter<'_>, bridge: u32, with: &Bridge) -> fmt::Result {
    write!(f, "bridge {bridge}")?;
    for target in &with.targets {
        write!(f, " {}({})", target.to, target.timeout_s)?;
        value(f, "screened", target.screening.as_ref().map(|(url, method)| place(url, *method)).as_deref())?;
        value(f, "keys", target.send_digits.as_deref())?;
        value(f, "told", target.callback.as_ref().map(told).as_deref())?;
        if let Some(machine) = &target.machine {
            let MachineDetection { until_end, limit, speech_ms, speech_end_ms, silence_ms, callback, .. } = &**machine;
            let (mode, limit_s) = (if *until_end { "until-its-end" } else { "machine" }, limit.as_secs());
            write!(f, " {mode}={limit_s}s/{speech_ms}/{speech_end_ms}/{silence_ms}")?;
            value(f, "machine-told", callback.as_ref().map(told).as_deref())?;
        }
        value(f, "as", target.credentials.as_ref().map(|(name, _)| name.as_str()))?;
        for (name, header) in &target.headers {
            write!(f, " {name}:{header}")?;
        }
    }
    flag(f, with.mode == Mode::Sequential, "sequential")?;
    value(f, "limit", with.time_limit_s.map(|limit| limit.to_string()).as_deref())?;
    flag(f, with.hangup_on_star, "star")?;
    flag(f, with.answer_on_bridge, "answer-on-bridge")?;
    value(f, "caller", with.caller_id.as_deref())?;
    if let Some(record) = &with.record {
        f.write_str(if record.from == RecordFrom::Ringing { " record=ringing" } else { " record=answer" })?;
        flag(f, record.dual, "dual")?;
        flag(f, record.track != "both", &record.track)?;
        flag(f, record.trim, "trim")?;
        value(f, "recorded", record.callback.as_ref().map(told).as_deref())?;
    }
    value(f, "on-refer", with.on_refer.as_ref().map(|(url, method)| place(url, *method)).as_deref())
}

fn joins(f: &mut fmt::Formatter<'_>, conference: u32, room: &str, options: &ConferenceOptions) -> fmt::Result {
    write!(f, "conference {conference} {room:?} beep={:?} max={}", options.beep, options.max_members)?;
    flag(f, options.muted, "muted")?;
    flag(f, !options.start_on_enter, "waits-for-start")?;
    flag(f, options.end_on_exit, "ends-on-exit")?;
    match &options.wait {
        Wait::Music => {}
        Wait::Silence => f.write_str(" wait=silence")?,
        Wait::Document { url, method } => write!(f, " wait={} {url}", method.as_str())?,
    }
    flag(f, options.record, "record")?;
    flag(f, !options.trim, "untrimmed")?;
    value(f, "coach", options.coach.as_deref())?;
    value(f, "label", options.label.as_deref())?;
    value(f, "told", options.callback.as_ref().map(told).as_deref())?;
    value(f, "recorded", options.recording_callback.as_ref().map(told).as_deref())
}

fn asks(f: &mut fmt::Formatter<'_>, request: &HttpRequest) -> fmt::Result {
    write!(f, "{} {}", request.method.as_str(), request.url)?;
    if let Body::Json(text) = &request.body {
        write!(f, " {text}")?;
    }
    for (name, text) in request.params() {
        if !is_implied(name, text) {
            write!(f, " {name}={text}")?;
        }
    }
    Ok(())
}

/// True for a parameter that a line does not repeat: who calls whom, places that are not known, and that the call is up.
fn is_implied(name: &str, text: &str) -> bool {
    let place = ["City", "State", "Zip", "Country"].iter().any(|part| name.ends_with(part));
    ALWAYS.contains(&name) || (place && text.is_empty()) || (name == "CallStatus" && text == "in-progress")
}

impl Method {
    /// `GET` or `POST`
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}
