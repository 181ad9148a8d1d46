//! Requests and responses as values: what the rim fetches, and what it brings back (TWILIO.md §3).
//!
//! The machine follows redirections, retries and falls back by itself; the rim does one exchange at a time. It owes the
//! User-Agent, the cookies of the call, `X-Twilio-Signature` ([`HttpRequest::signature`]), the token of
//! [`HttpRequest::token`] and its egress policy.

use crate::limits::MAX_URL;
use crate::signature;
use serde::Serialize;
use std::fmt::Write as _;
use url::Url;

/// Names and values in the order in which they are sent.
pub type Params = Vec<(String, String)>;

/// How something is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// The parameters stand in the query.
    Get,
    /// The parameters are a form.
    #[default]
    Post,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Parameters: a form where the method is POST, part of the query where it is GET.
    Form(Params),
    /// A JSON text, `application/json`, by POST.
    Json(String),
}

/// One HTTP exchange to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// Absolute, `http` or `https`. Its fragment holds overrides and is never sent ([`HttpRequest::target`]).
    pub url: Url,
    /// GET or POST.
    pub method: Method,
    /// What is sent.
    pub body: Body,
    /// How long each part may take.
    pub timeouts: Timeouts,
    /// The number of what is asked for in this call: the same in each retry, so that
    /// `I-Twilio-Idempotency-Token` can be made of it and the call's sid.
    pub token: u32,
}

/// Milliseconds that an exchange may take (TWILIO.md §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect_ms: u32,
    /// Until the next byte of the response.
    pub read_ms: u32,
    /// In all.
    pub total_ms: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect_ms: 5_000, read_ms: 15_000, total_ms: 15_000 }
    }
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// 200.
    pub status: u16,
    /// The value of Content-Type, with its parameters; empty where there was none.
    pub content_type: String,
    /// The value of Location.
    pub location: Option<String>,
    /// At most [`MAX_BODY`](crate::limits::MAX_BODY) bytes and one: the rim reads no further.
    pub body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchFault {
    /// No connection within its time, or none at all: refused, no such host, a failed TLS handshake.
    Connect(String),
    /// A connection, and then no response in time.
    Timeout,
    /// Something that is no HTTP, or an end in the middle.
    Protocol(String),
    /// Our own policy does not let us go there.
    Refused(String),
}

/// What of a URL's fragment says otherwise (`#ct=2000&rc=3&rp=5xx`, TWILIO.md §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overrides {
    pub(crate) timeouts: Timeouts,
    pub(crate) retries: u32,
    pub(crate) policy: Policy,
}

/// After what a request is made again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    connect: bool,
    read: bool,
    client: bool,
    server: bool,
}

impl Policy {
    pub(crate) fn covers_fault(self, fault: &FetchFault) -> bool {
        match fault {
            FetchFault::Connect(_) => self.connect,
            FetchFault::Timeout | FetchFault::Protocol(_) => self.read,
            FetchFault::Refused(_) => false,
        }
    }

    pub(crate) fn covers_status(self, status: u16) -> bool {
        match status {
            400..=499 => self.client,
            500..=599 => self.server,
            _ => false,
        }
    }
}

/// Reads a fragment. What is not understood or out of range is as if it were not there.
pub(crate) fn overrides(url: &Url) -> Overrides {
    let mut found =
        Overrides { timeouts: Timeouts::default(), retries: 1, policy: Policy { connect: true, ..Policy::default() } };
    for (key, value) in url.fragment().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('=')) {
        let number = value.parse::<u32>().ok();
        match (key, number) {
            ("ct", Some(ms @ 100..=10_000)) => found.timeouts.connect_ms = ms,
            ("rt", Some(ms @ 100..=15_000)) => found.timeouts.read_ms = ms,
            ("tt", Some(ms @ 100..=15_000)) => found.timeouts.total_ms = ms,
            ("rc", Some(retries @ 0..=5)) => found.retries = retries,
            ("rp", None) => found.policy = policy(value),
            _ => {}
        }
    }
    found
}

fn policy(words: &str) -> Policy {
    let mut policy = Policy::default();
    for word in words.split(',') {
        match word {
            "ct" => policy.connect = true,
            "rt" => policy.read = true,
            "4xx" => policy.client = true,
            "5xx" => policy.server = true,
            "all" => policy = Policy { connect: true, read: true, client: true, server: true },
            _ => {}
        }
    }
    policy
}

impl HttpRequest {
    /// A request for `url` with these parameters and the timeouts that its fragment says.
    #[must_use]
    pub fn new(url: Url, method: Method, params: Params, token: u32) -> Self {
        let timeouts = overrides(&url).timeouts;
        Self { url, method, body: Body::Form(params), timeouts, token }
    }

    /// What stands in the request and is signed: the URL without its fragment, with the parameters where the method is
    /// GET, and with `bodySHA256` where the body is JSON (TWILIO.md §3.3).
    #[must_use]
    pub fn target(&self) -> Url {
        let mut target = self.url.clone();
        target.set_fragment(None);
        match &self.body {
            Body::Form(params) if self.method == Method::Get && !params.is_empty() => {
                target.query_pairs_mut().extend_pairs(params);
            }
            Body::Json(text) => {
                target.query_pairs_mut().append_pair("bodySHA256", &signature::sha256_hex(text.as_bytes()));
            }
            Body::Form(_) => {}
        }
        target
    }

    /// The parameters: those of a form, or of the query.
    #[must_use]
    pub fn params(&self) -> &[(String, String)] {
        match &self.body {
            Body::Form(params) => params,
            Body::Json(_) => &[],
        }
    }

    /// The content type and the body; none where the method is GET.
    #[must_use]
    pub fn content(&self) -> Option<(&'static str, String)> {
        match (&self.body, self.method) {
            (Body::Form(params), Method::Post) => Some(("application/x-www-form-urlencoded", form(params))),
            (Body::Form(_), Method::Get) => None,
            (Body::Json(text), _) => Some(("application/json", text.clone())),
        }
    }

    /// The value of `X-Twilio-Signature` for it (TWILIO.md §3.3).
    #[must_use]
    pub fn signature(&self, auth_token: &str) -> String {
        let form: &[(String, String)] = match (&self.body, self.method) {
            (Body::Form(params), Method::Post) => params,
            _ => &[],
        };
        signature::signature(auth_token, self.target().as_str(), form)
    }
}

/// `application/x-www-form-urlencoded`.
fn form(params: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}

/// An `http` or `https` URL, absolute or relative to `base`; or what to write instead.
pub(crate) fn link(text: &str, base: Option<&Url>) -> Result<Url, String> {
    let text = text.trim();
    if text.len() > MAX_URL {
        return Err(format!("a URL has at most {MAX_URL} characters"));
    }
    let url = match base {
        Some(base) => base.join(text),
        None => Url::parse(text),
    };
    match url {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        Ok(url) => Err(format!("a URL begins with https:// or http://, this one with {}:", cut(url.scheme(), 20))),
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            let shown = cut(text, 60);
            Err(format!(
                "{shown:?} is relative and this document has no URL of its own: write it with https:// and a host"
            ))
        }
        Err(why) => {
            let mut said = String::new();
            let _ = write!(said, "{:?} is no URL: {why}", cut(text, 60));
            Err(said)
        }
    }
}

/// At most `length` characters of `text`.
pub(crate) fn cut(text: &str, length: usize) -> &str {
    text.char_indices().nth(length).map_or(text, |(at, _)| &text[..at])
}

/// At most `bytes` bytes of `text`, ending with a whole character.
pub(crate) fn cut_bytes(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        link(text, None).unwrap()
    }

    #[test]
    fn a_fragment_overrides_and_what_it_cannot_mean_is_passed_over() {
        let found = overrides(&url("https://a.example/x#ct=200&rt=99&tt=15000&rc=5&rp=5xx,rt"));
        assert_eq!(found.timeouts, Timeouts { connect_ms: 200, read_ms: 15_000, total_ms: 15_000 });
        assert_eq!(found.retries, 5);
        assert!(found.policy.covers_status(503) && found.policy.covers_fault(&FetchFault::Timeout));
        assert!(!found.policy.covers_status(404) && !found.policy.covers_fault(&FetchFault::Connect(String::new())));
        let plain = overrides(&url("https://a.example/x"));
        assert_eq!((plain.retries, plain.timeouts), (1, Timeouts::default()));
        assert!(plain.policy.covers_fault(&FetchFault::Connect(String::new())) && !plain.policy.covers_status(500));
        assert_eq!(overrides(&url("https://a.example/x#rc=6&e=dublin")).retries, 1);
    }

    #[test]
    fn a_get_carries_its_parameters_in_the_query_and_signs_the_url_alone() {
        let params = vec![("Digits".to_owned(), "1 #".to_owned())];
        let get = HttpRequest::new(url("https://a.example/x?y=1#rc=2"), Method::Get, params.clone(), 1);
        assert_eq!(get.target().as_str(), "https://a.example/x?y=1&Digits=1+%23");
        assert_eq!(get.content(), None);
        assert_eq!(get.signature("t"), signature::signature("t", "https://a.example/x?y=1&Digits=1+%23", &[]));
        let post = HttpRequest::new(url("https://a.example/x?y=1#rc=2"), Method::Post, params.clone(), 1);
        assert_eq!(post.target().as_str(), "https://a.example/x?y=1");
        assert_eq!(post.content().unwrap().1, "Digits=1+%23");
        assert_eq!(post.signature("t"), signature::signature("t", "https://a.example/x?y=1", &params));
    }

    #[test]
    fn a_json_body_is_signed_through_its_digest_in_the_url() {
        let mut request = HttpRequest::new(url("https://a.example/x"), Method::Post, Vec::new(), 1);
        request.body = Body::Json("{}".to_owned());
        let digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert_eq!(request.target().as_str(), format!("https://a.example/x?bodySHA256={digest}"));
        assert_eq!(request.signature("t"), signature::signature("t", request.target().as_str(), &[]));
    }

    #[test]
    fn resolves_against_the_documents_url_and_refuses_what_is_no_web_address() {
        let base = url("https://a.example/ivr/menu.xml?x=1");
        assert_eq!(link("next.xml", Some(&base)).unwrap().as_str(), "https://a.example/ivr/next.xml");
        assert_eq!(link("/next", Some(&base)).unwrap().as_str(), "https://a.example/next");
        assert_eq!(link("?y=2", Some(&base)).unwrap().as_str(), "https://a.example/ivr/menu.xml?y=2");
        assert!(link("/next", None).unwrap_err().contains("has no URL of its own"));
        assert!(link("file:///etc/passwd", Some(&base)).unwrap_err().contains("begins with https://"));
        assert!(link("https://", None).is_err());
    }
}
