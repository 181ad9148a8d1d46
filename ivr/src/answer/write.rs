//! From a program to JSON, canonically: always an array, every option written out, branches in one order. Parsing what
//! is written gives the same program again.

use super::bridge;
use super::{Answer, Branches, Gather, Play, Verb};
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.verbs.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&serde_json::Value::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl Serialize for Verb {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut table = to.serialize_map(None)?;
        match self {
            Self::Play(play) => write_play(&mut table, "play", play)?,
            Self::Gather(gather) => write_gather(&mut table, gather)?,
            Self::Bridge(bridge) => bridge::write(&mut table, bridge)?,
            Self::Echo => table.serialize_entry("echo", &true)?,
            Self::Hangup => table.serialize_entry("hangup", &true)?,
        }
        table.end()
    }
}

impl Serialize for Branches {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter())
    }
}

fn write_play<M: SerializeMap>(table: &mut M, verb: &'static str, play: &Play) -> Result<(), M::Error> {
    table.serialize_entry(verb, &play.prompt)?;
    table.serialize_entry("loop", &play.repeat)
}

fn write_gather<M: SerializeMap>(table: &mut M, gather: &Gather) -> Result<(), M::Error> {
    match &gather.prompt {
        Some(play) => write_play(table, "gather", play)?,
        None => table.serialize_entry("gather", &true)?,
    }
    table.serialize_entry("max_digits", &gather.max_digits)?;
    table.serialize_entry("timeout_s", &gather.timeout_s)?;
    table.serialize_entry("finish_on", &gather.finish_on.map(String::from).unwrap_or_default())?;
    table.serialize_entry("attempts", &gather.attempts)?;
    table.serialize_entry("on", &gather.on)
}
