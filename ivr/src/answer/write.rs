//! From a program to JSON, canonically: always an array, every option written out, branches in one order. Parsing what
//! is written gives the same program again.

use super::{Answer, Branches, Link, Then, Verb, bridge, documents, gather, rooms, sound};
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
            Self::Hear(sound) => sound::write(&mut table, sound)?,
            Self::Gather(gather) => gather::write(&mut table, gather)?,
            Self::Record(record) => rooms::write_record(&mut table, record)?,
            Self::Bridge(bridge) => bridge::write(&mut table, bridge)?,
            Self::Conference(room) => rooms::write_conference(&mut table, room)?,
            Self::Fetch(fetch) => documents::write_fetch(&mut table, fetch)?,
            Self::Twiml(inline) => documents::write_twiml(&mut table, inline)?,
            Self::Flow(flow) => documents::write_flow(&mut table, flow)?,
            Self::Refer(refer) => {
                table.serialize_entry("refer", &refer.to)?;
                then(&mut table, &refer.then)?;
            }
            Self::Reject { status } => table.serialize_entry("reject", status)?,
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

/// An entry that is left out where it says nothing.
pub(super) fn optional<M: SerializeMap, T: Serialize>(
    table: &mut M,
    option: &'static str,
    value: Option<&T>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| table.serialize_entry(option, value))
}

/// `action` and `method`, where a verb asks for a document.
pub(super) fn then<M: SerializeMap>(table: &mut M, then: &Then) -> Result<(), M::Error> {
    if let Then::Ask(action) = then
        && let Link::Url(url) = &action.link
    {
        table.serialize_entry("action", url.as_str())?;
        table.serialize_entry("method", &action.method)?;
    }
    Ok(())
}
