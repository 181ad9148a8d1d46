//! `record`, `conference`, `refer` and `reject`.

use super::bridge::{address, limit};
use super::documents::{action, callback};
use super::parse::{Parsed, Table, flag, just_true, number, show, text, wrong};
use super::{ALL_KEYS, Beep, Conference, ConferenceOptions, Record, Refer, Then, Verb, Wait, is_key, write};
use crate::limits::{DEFAULT_RECORD_S, DEFAULT_TIMEOUT_S, MAX_MEMBERS, MAX_TALK_S, MAX_TIMEOUT_S, MAX_WORD};
use serde::ser::SerializeMap;
use serde_json::Value;

/// What `reject` answers with where it names no status: Twilio's `rejected` (TWILIO.md §4.3, 14).
const REJECTED: u16 = 404;

pub(super) fn record(argument: &Value, table: &Table, path: &str) -> Parsed<Record> {
    just_true(argument, path)?;
    let mut record = Record::default();
    record.options.silence_s = number(table, "timeout_s", path, 0..=MAX_TIMEOUT_S, DEFAULT_TIMEOUT_S)?;
    record.options.max_s = number(table, "max_s", path, 1..=MAX_TALK_S, DEFAULT_RECORD_S)?;
    record.options.beep = flag(table, "beep", path, true)?;
    record.options.trim = flag(table, "trim", path, true)?;
    record.finish_on = match table.get("finish_on").map(|value| (value, value.as_str())) {
        None => ALL_KEYS.to_owned(),
        Some((_, Some(keys))) if keys.chars().all(is_key) && keys.len() <= 16 => keys.to_owned(),
        Some((other, _)) => {
            let instead = "the keys that end it, of 0-9 * # A-D, or \"\" for none";
            return wrong(&format!("{path}.finish_on"), format!("{instead}; found {}", show(other)));
        }
    };
    record.then = action(table, path)?.map_or(Then::Next, Then::Ask);
    record.callback = callback(table, "callback", path)?;
    Ok(record)
}

pub(super) fn conference(argument: &Value, table: &Table, path: &str) -> Parsed<Conference> {
    let room = match argument.as_str() {
        Some(room) if (1..=MAX_WORD).contains(&room.chars().count()) => room.to_owned(),
        _ => {
            let instead = format!("a conference has a name such as \"team\", of 1 to {MAX_WORD} characters");
            return wrong(path, format!("{instead}; found {}", show(argument)));
        }
    };
    let options = ConferenceOptions {
        muted: flag(table, "muted", path, false)?,
        beep: beep(table, path)?,
        start_on_enter: flag(table, "start_on_enter", path, true)?,
        end_on_exit: flag(table, "end_on_exit", path, false)?,
        wait: wait(table, path)?,
        max_members: number(table, "max_members", path, 2..=MAX_MEMBERS, MAX_MEMBERS)?,
        record: flag(table, "recorded", path, false)?,
        label: text(table, "label", path)?,
        ..ConferenceOptions::default()
    };
    Ok(Conference {
        room,
        options,
        time_limit_s: limit(table, path)?,
        hangup_on_star: flag(table, "hangup_on_star", path, false)?,
        then: action(table, path)?.map_or(Then::Next, Then::Ask),
    })
}

fn beep(table: &Table, path: &str) -> Parsed<Beep> {
    match table.get("beep").map(|value| (value, value.as_str())) {
        None | Some((Value::Bool(true), _)) => Ok(Beep::Both),
        Some((Value::Bool(false), _)) => Ok(Beep::Never),
        Some((_, Some("on_enter"))) => Ok(Beep::OnEnter),
        Some((_, Some("on_exit"))) => Ok(Beep::OnExit),
        Some((other, _)) => {
            wrong(&format!("{path}.beep"), format!("true, false, \"on_enter\" or \"on_exit\"; found {}", show(other)))
        }
    }
}

fn wait(table: &Table, path: &str) -> Parsed<Wait> {
    match table.get("wait").map(|value| (value, value.as_str())) {
        None | Some((_, Some("music"))) => Ok(Wait::Music),
        Some((_, Some("silence"))) => Ok(Wait::Silence),
        Some((other, _)) => wrong(&format!("{path}.wait"), format!("`music` or `silence`; found {}", show(other))),
    }
}

pub(super) fn refer(argument: &Value, table: &Table, path: &str) -> Parsed<Refer> {
    let Value::String(to) = argument else {
        return wrong(path, format!("write to whom, such as \"sip:bob@example.com\"; found {}", show(argument)));
    };
    Ok(Refer { to: address(to, path)?, then: action(table, path)?.map_or(Then::Next, Then::Ask) })
}

pub(super) fn reject(argument: &Value, path: &str) -> Parsed<Verb> {
    let status = match argument {
        Value::Bool(true) => Some(REJECTED),
        Value::String(word) if word == "busy" => Some(486),
        Value::String(word) if word == "rejected" => Some(REJECTED),
        other => other.as_u64().and_then(|status| u16::try_from(status).ok()).filter(|s| (400..=699).contains(s)),
    };
    match status {
        Some(status) => Ok(Verb::Reject { status }),
        None => {
            let instead = "true, \"busy\", \"rejected\" or a SIP status from 400 to 699";
            wrong(path, format!("{instead}; found {}", show(argument)))
        }
    }
}

pub(super) fn write_record<M: SerializeMap>(table: &mut M, record: &Record) -> Result<(), M::Error> {
    table.serialize_entry("record", &true)?;
    table.serialize_entry("timeout_s", &record.options.silence_s)?;
    table.serialize_entry("max_s", &record.options.max_s)?;
    table.serialize_entry("finish_on", &record.finish_on)?;
    table.serialize_entry("beep", &record.options.beep)?;
    table.serialize_entry("trim", &record.options.trim)?;
    write::optional(table, "callback", record.callback.as_ref().map(|callback| callback.url.as_str()).as_ref())?;
    write::then(table, &record.then)
}

pub(super) fn write_conference<M: SerializeMap>(table: &mut M, room: &Conference) -> Result<(), M::Error> {
    let options = &room.options;
    table.serialize_entry("conference", &room.room)?;
    table.serialize_entry("muted", &options.muted)?;
    match options.beep {
        Beep::Both => table.serialize_entry("beep", &true)?,
        Beep::Never => table.serialize_entry("beep", &false)?,
        other => table.serialize_entry("beep", &other)?,
    }
    table.serialize_entry("start_on_enter", &options.start_on_enter)?;
    table.serialize_entry("end_on_exit", &options.end_on_exit)?;
    table.serialize_entry("wait", if options.wait == Wait::Silence { "silence" } else { "music" })?;
    table.serialize_entry("max_members", &options.max_members)?;
    table.serialize_entry("recorded", &options.record)?;
    write::optional(table, "label", options.label.as_ref())?;
    write::optional(table, "time_limit_s", room.time_limit_s.as_ref())?;
    write::optional(table, "hangup_on_star", room.hangup_on_star.then_some(&true))?;
    write::then(table, &room.then)
}
