//! What a REGISTER asks for (RFC 3261 §10.2, §10.3 steps 6 and 7), read and checked before anything is believed or
//! changed: one contact out of order spoils the whole request.

use super::{MAX_BINDINGS, Reply, refuse};
use sip_core::header::{NameAddr, Via};
use sip_core::message::{Contacts, Message, Name, StatusCode};

/// For how long a contact is bound that names no time, or one that cannot be read (§10.2.1.1, §20.10), in seconds.
pub const DEFAULT_EXPIRES: u32 = 3_600;
/// A shorter time is answered 423 (§10.3 step 7), in seconds.
pub const MIN_EXPIRES: u32 = 60;
/// A longer time is cut to this, in seconds.
pub const MAX_EXPIRES: u32 = 86_400;
/// A longer time is cut to this where the phone is reached over its own connection, in seconds: a refresh comes before a
/// silent connection is closed (ten minutes, `sip_core::net::Limits::idle`).
pub const MAX_FLOW_EXPIRES: u32 = 540;
/// A longer time is cut to this where the phone is behind a NAT over UDP, in seconds: its refreshes keep the NAT's mapping,
/// which lives two minutes at least (RFC 4787 §4.3).
pub const MAX_NAT_EXPIRES: u32 = 90;
/// What is written for preference: thousandths (§20.10 allows three digits).
const FULL_PREFERENCE: u16 = 1_000;

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) what: What,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    /// The way back through the proxies in front (RFC 3327), first hop first.
    pub(super) path: Vec<NameAddr>,
    /// Where the sender says that it sends from.
    pub(super) via: Via,
    /// The sender speaks RFC 5626 and is no proxy away, or its proxies do.
    pub(super) outbound: bool,
    pub(super) user_agent: String,
}

/// About which contacts.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// About all: they are to go (§10.2.2).
    RemoveAll,
    /// About these; none at all is a question (§10.2.3).
    Each(Vec<Asked>),
}

/// One contact.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Without `expires` and `q`.
    pub(super) contact: NameAddr,
    /// Seconds; 0 removes.
    pub(super) expires: u32,
    /// Thousandths.
    pub(super) q: u16,
}

impl Wish {
    pub(super) fn read(request: &Message) -> Result<Self, Box<Reply>> {
        let bad = |_| refuse(StatusCode::BAD_REQUEST);
        let cseq = request.cseq().map_err(bad)?.seq;
        let via = request.top_via().map_err(bad)?;
        let path = request.addresses(Name::Path).map_err(bad)?;
        let is_direct = request.vias().is_ok_and(|vias| vias.len() == 1);
        let vouched = path.first().is_some_and(|path| path.uri.param("ob").is_some());
        Ok(Self {
            what: what(request)?,
            call_id: request.call_id().map_err(bad)?.to_owned(),
            cseq,
            // RFC 3327 §5.3: a path that the phone does not know of is not kept.
            path: if request.supports("path") { path } else { Vec::new() },
            via: via.clone(),
            outbound: request.supports("outbound") && (is_direct || vouched),
            user_agent: request.header_str(Name::UserAgent).unwrap_or_default().chars().take(128).collect(),
        })
    }
}

fn what(request: &Message) -> Result<What, Box<Reply>> {
    // §20.19: one that cannot be read is as good as none.
    let expires = request.header(Name::Expires).map(|value| seconds(&value));
    match request.contact().map_err(|_| refuse(StatusCode::BAD_REQUEST))? {
        Contacts::All if expires == Some(0) => Ok(What::RemoveAll),
        Contacts::All => Err(refuse(StatusCode::BAD_REQUEST)),
        Contacts::List(contacts) if contacts.len() > MAX_BINDINGS => Err(refuse(StatusCode::FORBIDDEN)),
        Contacts::List(contacts) => contacts
            .iter()
            .map(|contact| asked(contact.clone(), expires))
            .collect::<Result<_, _>>()
            .map(What::Each),
    }
}

fn asked(mut contact: NameAddr, expires: Option<u32>) -> Result<Asked, Box<Reply>> {
    let own = contact.params.get("expires").map(|value| seconds(value.as_bytes()));
    let expires = own.or(expires).unwrap_or(DEFAULT_EXPIRES);
    if (1..MIN_EXPIRES).contains(&expires) {
        let least = ("Min-Expires".to_owned(), MIN_EXPIRES.to_string());
        return Err(Box::new(Reply::Refuse(StatusCode::INTERVAL_TOO_BRIEF, vec![least])));
    }
    let q = contact.params.get("q").map_or(FULL_PREFERENCE, preference);
    contact.params.remove("expires");
    contact.params.remove("q");
    Ok(Asked { contact, expires: expires.min(MAX_EXPIRES), q })
}

/// A number of seconds; one that is too big is the biggest there is, one that is none [`DEFAULT_EXPIRES`].
fn seconds(value: &[u8]) -> u32 {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if !is_number {
        return DEFAULT_EXPIRES;
    }
    std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX)
}

/// `0.75` in thousandths; what is no `qvalue` (§25.1) is the highest, as if it had not been written.
fn preference(value: &str) -> u16 {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let is_fraction = fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit());
    match whole {
        "0" if is_fraction => format!("{fraction:0<3}").parse().unwrap_or(FULL_PREFERENCE),
        _ => FULL_PREFERENCE,
    }
}

/// Thousandths as a `qvalue`.
pub(super) fn qvalue(thousandths: u16) -> String {
    if thousandths >= FULL_PREFERENCE { "1.0".to_owned() } else { format!("0.{thousandths:03}") }
}

/// True where nothing was said, so that nothing need be said of it.
pub(super) const fn is_default(q: u16) -> bool {
    q == FULL_PREFERENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_thousandths() {
        let table = [("0.5", 500), ("0", 0), ("0.", 0), ("0.123", 123), ("1", 1000), ("1.000", 1000), ("x", 1000)];
        for (text, thousandths) in table.into_iter().chain([("0.1234", 1000), ("-1", 1000), ("0.-1", 1000)]) {
            assert_eq!(preference(text), thousandths, "{text}");
        }
        assert_eq!([0, 70, 500, 1000].map(qvalue), ["0.000", "0.070", "0.500", "1.0"]);
    }

    #[test]
    fn seconds_are_read_as_far_as_they_can_be() {
        let table = [("0", 0), ("60", 60), ("99999999999999999999", u32::MAX), ("", 3600), ("1h", 3600), ("-1", 3600)];
        for (text, expires) in table {
            assert_eq!(seconds(text.as_bytes()), expires, "{text}");
        }
    }
}
