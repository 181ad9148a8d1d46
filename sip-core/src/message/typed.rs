//! The typed headers of a message, read when asked for.

use super::error::{Fault, ParseError, Part};
use super::start_line::StartLine;
use super::{Message, Method, Name, lossy};
use crate::header::{CSeq, ContentType, NameAddr, Via};
use crate::uri::Uri;

/// What Contact holds (RFC 3261 §20.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contacts<'a> {
    /// `*`: every binding there is (RFC 3261 §10.2.2).
    All,
    /// Addresses, maybe none.
    List(&'a [NameAddr]),
}

impl Message {
    /// The method; of a response the one in its CSeq, or an empty `Other` where that cannot be read (such a response does
    /// not pass [`super::check_response`]).
    #[must_use]
    pub fn method(&self) -> Method {
        match &self.0.start {
            StartLine::Request { method, .. } => method.clone(),
            StartLine::Response { .. } => {
                self.cseq().map_or_else(|_| Method::Other(String::new()), |cseq| cseq.method.clone())
            }
        }
    }

    /// The Request-URI.
    ///
    /// # Errors
    /// Where it is malformed, or this is a response.
    pub fn request_uri(&self) -> Result<Uri, ParseError> {
        match &self.0.start {
            StartLine::Request { uri, .. } => Uri::parse(uri.of(&self.0.bytes)).map_err(|e| e.at(Part::RequestUri)),
            StartLine::Response { .. } => Err(ParseError::new(Part::RequestUri, Fault::Missing)),
        }
    }

    /// The Request-URI as it arrived: what digest's `uri` is compared with; empty for a response.
    #[must_use]
    pub fn request_uri_raw(&self) -> &[u8] {
        match &self.0.start {
            StartLine::Request { uri, .. } => uri.of(&self.0.bytes),
            StartLine::Response { .. } => b"",
        }
    }

    /// The only value of a header that must be there once.
    fn single<T>(&self, name: Name, parse: impl Fn(&[u8]) -> Result<T, ParseError>) -> Result<T, ParseError> {
        self.optional(name, parse)?.ok_or(ParseError::new(Part::Header(name), Fault::Missing))
    }

    /// The only value of a header that may be there once.
    fn optional<T>(&self, name: Name, parse: impl Fn(&[u8]) -> Result<T, ParseError>) -> Result<Option<T>, ParseError> {
        let mut lines = self.lines(name);
        let Some(first) = lines.next() else { return Ok(None) };
        if lines.next().is_some() {
            return Err(ParseError::new(Part::Header(name), Fault::Repeated));
        }
        parse(&first).map(Some).map_err(|e| e.at(Part::Header(name)))
    }

    fn list<T>(&self, name: Name, parse: impl Fn(&[u8]) -> Result<T, ParseError>) -> Result<Vec<T>, ParseError> {
        self.values(name).map(|value| parse(&value).map_err(|e| e.at(Part::Header(name)))).collect()
    }

    /// All Vias, top first.
    ///
    /// # Errors
    /// Where one is malformed.
    pub fn vias(&self) -> Result<Vec<Via>, ParseError> {
        self.list(Name::Via, Via::parse)
    }

    /// The top Via: the hop that this message came from.
    ///
    /// # Errors
    /// Where there is none, or it is malformed.
    pub fn top_via(&self) -> Result<&Via, ParseError> {
        let read = || {
            let at = Part::Header(Name::Via);
            let value = self.values(Name::Via).next().ok_or(ParseError::new(at, Fault::Missing))?;
            Via::parse(&value).map_err(|e| e.at(at))
        };
        self.0.top_via.get_or_init(read).as_ref().map_err(Clone::clone)
    }

    /// From.
    ///
    /// # Errors
    /// Where it is missing, repeated or malformed.
    pub fn from(&self) -> Result<&NameAddr, ParseError> {
        self.0.from.get_or_init(|| self.single(Name::From, NameAddr::parse)).as_ref().map_err(Clone::clone)
    }

    /// To.
    ///
    /// # Errors
    /// As [`Message::from`].
    pub fn to(&self) -> Result<&NameAddr, ParseError> {
        self.0.to.get_or_init(|| self.single(Name::To, NameAddr::parse)).as_ref().map_err(Clone::clone)
    }

    /// Call-ID: compared byte by byte, with case (RFC 3261 §20.8).
    ///
    /// # Errors
    /// Where it is missing, repeated, empty, not UTF-8, or more than one word.
    pub fn call_id(&self) -> Result<&str, ParseError> {
        let at = Part::Header(Name::CallId);
        let mut lines = self.each(Name::CallId);
        let line = lines.next().ok_or(ParseError::new(at, Fault::Missing))?;
        if lines.next().is_some() {
            return Err(ParseError::new(at, Fault::Repeated));
        }
        let text = std::str::from_utf8(line.raw(&self.0.bytes)).unwrap_or_default();
        let is_word = !text.is_empty() && text.bytes().all(|b| b > b' ' && b != 0x7f);
        if is_word { Ok(text) } else { Err(ParseError::new(at, Fault::Syntax("a word"))) }
    }

    /// CSeq.
    ///
    /// # Errors
    /// As [`Message::from`]; also where the number is 2³¹ or more.
    pub fn cseq(&self) -> Result<&CSeq, ParseError> {
        self.0.cseq.get_or_init(|| self.single(Name::CSeq, CSeq::parse)).as_ref().map_err(Clone::clone)
    }

    /// The addresses in Contact, across lines.
    ///
    /// # Errors
    /// Where one is malformed, and on `*`: who can make sense of that asks [`Message::contact`].
    pub fn contacts(&self) -> Result<&[NameAddr], ParseError> {
        let read = self.0.contacts.get_or_init(|| self.list(Name::Contact, NameAddr::parse));
        read.as_deref().map_err(Clone::clone)
    }

    /// Contact, `*` included.
    ///
    /// # Errors
    /// Where an address is malformed, or `*` is not alone.
    pub fn contact(&self) -> Result<Contacts<'_>, ParseError> {
        let mut values = self.values(Name::Contact);
        if values.next().as_deref() == Some(b"*") && values.next().is_none() {
            return Ok(Contacts::All);
        }
        self.contacts().map(Contacts::List)
    }

    /// The route set that the request carries, first hop first.
    ///
    /// # Errors
    /// Where one is malformed.
    pub fn routes(&self) -> Result<Vec<NameAddr>, ParseError> {
        self.list(Name::Route, NameAddr::parse)
    }

    /// Record-Route, in the order of the message.
    ///
    /// # Errors
    /// Where one is malformed.
    pub fn record_routes(&self) -> Result<Vec<NameAddr>, ParseError> {
        self.list(Name::RecordRoute, NameAddr::parse)
    }

    /// Addresses in any other header of that form: P-Asserted-Identity, Diversion, Path, …
    ///
    /// # Errors
    /// Where one is malformed.
    pub fn addresses(&self, name: Name) -> Result<Vec<NameAddr>, ParseError> {
        self.list(name, NameAddr::parse)
    }

    /// Max-Forwards (RFC 3261 §20.22).
    ///
    /// # Errors
    /// Where it is repeated or no number from 0 to 255.
    pub fn max_forwards(&self) -> Result<Option<u8>, ParseError> {
        self.optional(Name::MaxForwards, |value| {
            let number = super::digits(value).ok_or(ParseError::syntax("a number"))?;
            u8::try_from(number).map_err(|_| ParseError::new(Part::Value, Fault::Range))
        })
    }

    /// Expires, in seconds (RFC 3261 §20.19); a number that is too big is the biggest there is.
    ///
    /// # Errors
    /// Where it is repeated or no number.
    pub fn expires(&self) -> Result<Option<u32>, ParseError> {
        self.optional(Name::Expires, |value| {
            let number = super::digits(value).ok_or(ParseError::syntax("a number of seconds"))?;
            Ok(u32::try_from(number).unwrap_or(u32::MAX))
        })
    }

    /// Content-Type.
    ///
    /// # Errors
    /// Where it is repeated or malformed.
    pub fn content_type(&self) -> Result<Option<ContentType>, ParseError> {
        self.optional(Name::ContentType, ContentType::parse)
    }

    /// The option tags of Require (RFC 3261 §20.32).
    #[must_use]
    pub fn require(&self) -> Vec<String> {
        self.tokens(Name::Require)
    }

    /// The option tags of Supported (RFC 3261 §20.37).
    #[must_use]
    pub fn supported(&self) -> Vec<String> {
        self.tokens(Name::Supported)
    }

    /// True where the sender supports an option, by Supported or by requiring it.
    #[must_use]
    pub fn supports(&self, option: &str) -> bool {
        let named = |name| self.values(name).any(|value| value.eq_ignore_ascii_case(option.as_bytes()));
        named(Name::Supported) || named(Name::Require)
    }

    /// The values of a header that lists tokens: Allow, Unsupported, Privacy, …
    #[must_use]
    pub fn tokens(&self, name: Name) -> Vec<String> {
        self.values(name).map(|value| lossy(value).into_owned()).collect()
    }
}
