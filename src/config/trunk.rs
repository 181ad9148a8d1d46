//! `[[trunk]]`: the carrier crate decides what a trunk may be; here its keys are read, and its faults given their line.

use super::schema::network;
use super::section::{Found, Section};
use carrier::{Inbound, Profile, Secret, Trunk, TrunkConfig, TrunkName};
use sip_core::sdp::AudioCodec;
use sip_core::transport::Transport;
use sip_core::uri::Uri;

fn profile(text: &str) -> Result<Profile, String> {
    match text {
        "twilio" => Ok(Profile::Twilio),
        "generic" => Ok(Profile::Generic),
        _ => Err("write \"twilio\" or \"generic\"".to_owned()),
    }
}

fn uri(text: &str) -> Result<Uri, String> {
    let example = "write it like \"sip:example.pstn.twilio.com;transport=tls\"";
    let uri = Uri::parse(text.as_bytes()).map_err(|error| format!("{error}; {example}"))?;
    if uri.transport().is_some_and(Transport::is_websocket) {
        return Err(format!("a WebSocket is its client's to open, and no way to a carrier; {example}"));
    }
    Ok(uri)
}

/// All trunks that are in order. Two of one name are a mistake: a call that asks for it would go to either.
pub fn trunks(sections: Vec<Section>) -> Vec<TrunkConfig> {
    let mut trunks: Vec<TrunkConfig> = Vec::new();
    for section in sections {
        let place = section.place.clone();
        let faults = section.faults();
        if let Some(config) = trunk(section) {
            if trunks.iter().any(|known| known.name == config.name) {
                faults.add(&place, format!("there is a [[trunk]] \"{}\" already", config.name));
            }
            trunks.push(config);
        }
    }
    trunks
}

/// A trunk, where it is in order.
fn trunk(mut section: Section) -> Option<TrunkConfig> {
    let name = match section.required("name", "twilio") {
        Some(found) => section.read("name", found, |text| text.parse::<TrunkName>()),
        None => None,
    };
    let profile = section.parsed("profile", profile).map_or(Profile::Generic, |found| found.value);
    let uri = match section.required("uri", "sip:example.pstn.twilio.com;transport=tls") {
        Some(found) => section.read("uri", found, uri),
        None => None,
    };
    let place = section.place.clone();
    let mut config = match (name, uri) {
        (Some(name), Some(uri)) => TrunkConfig::new(name.value, profile, uri.value),
        _ => return None,
    };
    let before = section.faults_so_far();
    fill(&mut config, &mut section);
    let is_read = section.faults_so_far() == before;
    section.finish_ref();
    match Trunk::new(config.clone()) {
        Ok(_) => Some(config),
        Err(error) => {
            // What could not be read has been said; what follows from that need not be.
            if is_read {
                section.fault(&place, format!("trunk \"{}\": {}: {error}", config.name, error.key()));
            }
            None
        }
    }
}

fn fill(config: &mut TrunkConfig, section: &mut Section) {
    config.username = section.text("username").map(|found| found.value);
    config.password = password(section);
    config.account_sid = section.text("account_sid").map(|found| found.value);
    config.max_cps = section.number("max_cps", 1..=u64::from(carrier::MAX_CPS), config.max_cps.into()) as u32;
    config.max_calls = section.number("max_calls", 1..=1_000_000, config.max_calls.into()) as u32;
    config.try_timeout_ms = section.number("try_timeout_ms", 500..=32_000, config.try_timeout_ms);
    config.options_s = section.number("options_s", 0..=86_400, config.options_s);
    config.register = section.flag("register", false);
    config.register_expires_s =
        section.number("register_expires_s", 60..=86_400, config.register_expires_s.into()) as u32;
    config.accept_from = ranges(section, "accept_from");
    config.inbound = inbound(section);
    config.media_from = ranges(section, "media_from");
    config.srtp = section.flag("srtp", false);
    config.pass_identity = section.flag("pass_identity", false);
    config.codecs = codecs(section);
    routing(config, section);
}

/// What proves its carrier from elsewhere; a name and a password, or neither.
fn inbound(section: &mut Section) -> Option<Inbound> {
    let before = section.faults_so_far();
    let username = section.text("inbound_username");
    let place = username.as_ref().map_or_else(|| section.place.clone(), |found| found.place.clone());
    match (username, secret(section, "inbound_password", "inbound_password_file")) {
        (Some(Found { value: username, .. }), Some(password)) => Some(Inbound { username, password }),
        (None, None) => None,
        (username, _) => {
            if section.faults_so_far() == before {
                let missing = match username {
                    Some(_) => "inbound_username needs a password: write inbound_password or inbound_password_file",
                    None => "inbound_password needs a name: write inbound_username",
                };
                section.fault(&place, missing);
            }
            None
        }
    }
}

/// What it is chosen by and how it writes numbers: the same words as over HTTP.
fn routing(config: &mut TrunkConfig, section: &mut Section) {
    let found = api::registry::ROUTING.into_iter().filter_map(|key| Some((key, section.json(key)?)));
    let found: std::collections::BTreeMap<_, _> = found.collect();
    let words = found.iter().map(|(key, found)| ((*key).to_owned(), found.value.clone())).collect();
    if let Err(problem) = api::registry::routing(config, words) {
        let place = problem.field().and_then(|field| found.get(field)).map_or(&section.place, |found| &found.place);
        section.fault(place, format!("trunk.{problem}"));
    }
}

/// The codecs of a trunk, the best first; an empty list is refused, because a call needs one.
fn codecs(section: &mut Section) -> Vec<AudioCodec> {
    let read = |name: &str| {
        let known = AudioCodec::ALL.map(|codec| format!("\"{}\"", codec.name())).join(", ");
        AudioCodec::named(name).ok_or_else(|| format!("write some of {known}"))
    };
    let codecs = section.list("codecs", read);
    if codecs.as_ref().is_some_and(Vec::is_empty) {
        let place = section.place.clone();
        section.fault(&place, "codecs is an empty list; name one, or remove it to offer PCMU and PCMA".to_owned());
    }
    codecs.unwrap_or_default()
}

/// A list of networks; an empty one is refused, because it would stand for the profile's own ranges and not for nobody.
fn ranges(section: &mut Section, key: &'static str) -> Vec<ipnet::IpNet> {
    let ranges = section.list(key, network);
    if ranges.as_ref().is_some_and(Vec::is_empty) {
        let place = section.place.clone();
        section.fault(&place, format!("{key} is an empty list; name networks, or remove it to take the profile's own"));
    }
    ranges.unwrap_or_default()
}

/// `password`, or the first line of `password_file`; not both.
pub fn password(section: &mut Section) -> Option<Secret> {
    secret(section, "password", "password_file")
}

/// What stands under `key`, or in the first line of the file that `file_key` names.
pub fn secret(section: &mut Section, key: &'static str, file_key: &'static str) -> Option<Secret> {
    let given = section.text(key);
    let file = section.text(file_key);
    match (given, file) {
        (Some(_), Some(Found { place, .. })) => {
            section.fault(&place, format!("{key} and {file_key} are both given; write one of them"));
            None
        }
        (Some(found), None) => Some(Secret::from(found.value)),
        (None, Some(Found { value, place })) => match std::fs::read_to_string(&value) {
            Ok(text) => Some(Secret::from(text.lines().next().unwrap_or_default())),
            Err(error) => {
                section.fault(&place, format!("{file_key}: cannot read {value}: {error}"));
                None
            }
        },
        (None, None) => None,
    }
}
