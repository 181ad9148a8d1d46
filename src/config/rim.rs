//! What calls may ask of the world outside: `[egress]`, `[speech]`, `[recordings]`; what is told of them: `[capture]`, `[hep]`.

use super::schema::network;
use super::section::{Found, Section};
use super::trunk::secret;
use super::{Recogniser, Recordings, Speech, SpeechEndpoint};
use api::capture::CaptureConfig;
use std::path::PathBuf;

/// What OpenAI calls its least dear model, and one of its voices.
const MODEL: &str = "tts-1";
const VOICE: &str = "alloy";
/// And what it calls its first recogniser.
const RECOGNISER: &str = "whisper-1";

/// `[egress]`: the networks that may be reached beside the internet.
pub fn egress(mut section: Section) -> Vec<ipnet::IpNet> {
    let allow = section.list("allow", network).unwrap_or_default();
    section.finish();
    allow
}

fn endpoint(text: &str) -> Result<url::Url, &'static str> {
    url::Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.path() != "/")
        .ok_or("write the whole URL of the endpoint, like \"http://127.0.0.1:8000/v1/audio/speech\"")
}

fn recogniser_endpoint(text: &str) -> Result<url::Url, &'static str> {
    let instead = "write the whole URL of the endpoint, like \"http://127.0.0.1:8000/v1/audio/transcriptions\"";
    endpoint(text).map_err(|_| instead)
}

/// `[speech]`
pub fn speech(mut section: Section) -> Speech {
    let url = section.parsed("url", endpoint).map(|found| found.value);
    let model = section.text("model");
    let voice = section.text("voice");
    let before = section.faults_so_far();
    let key = secret(&mut section, "key", "key_file");
    let recogniser = recogniser(&mut section);
    let cache_dir = section.text("cache_dir").map(|found| PathBuf::from(found.value));
    let cache_mb = section.number("cache_mb", 1..=1_048_576, 256);
    if url.is_none() && section.faults_so_far() == before {
        let idle = [("model", model.as_ref()), ("voice", voice.as_ref())];
        for (name, found) in idle {
            if let Some(Found { place, .. }) = found {
                section.fault(place, format!("speech.{name} is of a speech endpoint; write its url too"));
            }
        }
    }
    section.finish();
    let text = |found: Option<Found<String>>, usual: &str| found.map_or_else(|| usual.to_owned(), |found| found.value);
    let (model, voice) = (text(model, MODEL), text(voice, VOICE));
    let endpoint = url.map(|url| SpeechEndpoint { url, model, voice, key });
    Speech { endpoint, recogniser, cache: cache_dir.map(|dir| (dir, cache_mb)) }
}

/// `recogniser_…` of `[speech]`
fn recogniser(section: &mut Section) -> Option<Recogniser> {
    let before = section.faults_so_far();
    let url = section.parsed("recogniser_url", recogniser_endpoint).map(|found| found.value);
    let model = section.text("recogniser_model");
    let key = secret(section, "recogniser_key", "recogniser_key_file");
    if let (None, Some(Found { place, .. })) = (&url, &model)
        && section.faults_so_far() == before
    {
        section.fault(place, "speech.recogniser_model is of a recogniser; write its recogniser_url too");
    }
    let model = model.map_or_else(|| RECOGNISER.to_owned(), |found| found.value);
    url.map(|url| Recogniser { url, model, key })
}

/// `[recordings]`
pub fn recordings(mut section: Section) -> Recordings {
    let dir = section.text("dir").map_or_else(|| "recordings".to_owned(), |found| found.value);
    let keep_days = section.number("keep_days", 1..=36_500, 30);
    section.finish();
    Recordings { dir: dir.into(), keep_days }
}

/// `[capture]` and `[hep]`
pub fn capture(mut capture: Section, mut hep: Section) -> CaptureConfig {
    let keep_mb = capture.number("keep_mb", 0..=65_536, 0);
    capture.finish();
    let collector = hep.parsed("collector", |text| {
        let place = text.strip_prefix("udp:").map(|place| place.trim_start_matches('/'));
        let named = place.and_then(|place| place.rsplit_once(':')).filter(|(host, _)| !host.is_empty());
        let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
        named
            .filter(|(_, port)| is_port(port))
            .ok_or("write a host and a port, like \"udp:homer.example.com:9060\"")?;
        Ok::<_, &str>(place.unwrap_or_default().to_owned())
    });
    let agent = hep.number("id", 0..=u64::from(u32::MAX), 2_001);
    hep.finish();
    CaptureConfig {
        keep: usize::try_from(keep_mb << 20).unwrap_or(usize::MAX),
        collector: collector.map(|found| found.value),
        agent: u32::try_from(agent).unwrap_or_default(),
    }
}

/// `tenant.account_sid`
pub fn account_sid(text: &str) -> Result<String, &'static str> {
    let hex = text.strip_prefix("AC").filter(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
    hex.map(|_| text.to_owned()).ok_or("write AC and 32 hexadecimal digits")
}
