//! A program's requests to web servers, as their own documentation has them (TWILIO.md §3): signed, with a token that a
//! retry repeats, and with the cookies that the same call was given before.

use super::egress::{Content, Egress, Exchange, Reply};
use ivr::limits::MAX_BODY;
use ivr::{FetchFault, HttpRequest, Method, Response};
use reqwest::cookie::{CookieStore, Jar};
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use switch::CallSid;
use url::Url;

/// Calls whose cookies are kept. One more takes the place of the one that was silent for the longest.
pub const MAX_JARS: usize = 4_096;

/// Cookies that one call is given, all in all; later ones are not kept.
pub const MAX_COOKIES: usize = 256;

/// Octets of a cookie; a longer one is not kept.
pub const MAX_COOKIE: usize = 4_096;

pub(crate) const SIGNATURE: HeaderName = HeaderName::from_static("x-twilio-signature");
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("i-twilio-idempotency-token");

/// The auth token of a tenant, where it has one.
pub type AuthTokens = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Does programs' requests.
pub struct Web {
    egress: Egress,
    tokens: AuthTokens,
    cookies: Cookies,
}

impl Web {
    /// By this way out, signed with these.
    pub(super) fn new(egress: Egress, tokens: AuthTokens) -> Self {
        Self { egress, tokens, cookies: Cookies::default() }
    }

    /// One exchange of a call.
    pub(super) async fn exchange(
        &self,
        sid: CallSid,
        tenant: &str,
        request: &HttpRequest,
    ) -> Result<Response, FetchFault> {
        let (url, content) = (request.target(), request.content());
        let mut headers = HeaderMap::new();
        if let Some(token) = (self.tokens)(tenant)
            && let Ok(signature) = HeaderValue::from_str(&request.signature(&token))
        {
            headers.insert(SIGNATURE, signature);
        }
        if let Ok(token) = HeaderValue::from_str(&idempotency_token(&sid.to_string(), request.token)) {
            headers.insert(TOKEN, token);
        }
        if let Some((kind, _)) = &content {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        if let Some(cookies) = self.cookies.of(sid, &url) {
            headers.insert(COOKIE, cookies);
        }
        let method = match request.method {
            Method::Get if content.is_none() => reqwest::Method::GET,
            _ => reqwest::Method::POST,
        };
        let body = content.map_or(Content::Nothing, |(_, body)| Content::Text(body));
        let exchange =
            Exchange { method, url: url.clone(), headers, body, timeouts: request.timeouts, most: MAX_BODY + 1 };
        let reply = self.egress.exchange(exchange).await?;
        self.cookies.take(sid, &url, &reply);
        let location = Some(reply.header("location").to_owned()).filter(|location| !location.is_empty());
        Ok(Response {
            status: reply.status,
            content_type: reply.header("content-type").to_owned(),
            location,
            body: reply.body,
        })
    }
}

/// The same for each try of one request, another for each request.
pub(crate) fn idempotency_token(sid: &str, token: u32) -> String {
    let digest = Sha256::digest(format!("{sid}:{token}"));
    let hex: String = digest.iter().take(16).map(|octet| format!("{octet:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Cookies, by call.
#[derive(Default)]
struct Cookies {
    jars: Mutex<HashMap<CallSid, Held>>,
}

struct Held {
    jar: Arc<Jar>,
    taken: usize,
    used: std::time::Instant,
}

impl Cookies {
    fn of(&self, sid: CallSid, url: &Url) -> Option<HeaderValue> {
        let mut jars = self.jars.lock().unwrap_or_else(PoisonError::into_inner);
        let held = jars.get_mut(&sid)?;
        held.used = std::time::Instant::now();
        held.jar.cookies(url)
    }

    fn take(&self, sid: CallSid, url: &Url, reply: &Reply) {
        let mut given = reply.headers.get_all(SET_COOKIE).iter().filter(|cookie| cookie.len() <= MAX_COOKIE).peekable();
        if given.peek().is_none() {
            return;
        }
        let mut jars = self.jars.lock().unwrap_or_else(PoisonError::into_inner);
        if jars.len() >= MAX_JARS && !jars.contains_key(&sid) {
            let oldest = jars.iter().min_by_key(|(_, held)| held.used).map(|(sid, _)| *sid);
            oldest.map(|oldest| jars.remove(&oldest));
        }
        let new = || Held { jar: Arc::default(), taken: 0, used: std::time::Instant::now() };
        let held = jars.entry(sid).or_insert_with(new);
        let mut kept = given.take(MAX_COOKIES.saturating_sub(held.taken)).inspect(|_| held.taken += 1);
        held.jar.set_cookies(&mut kept, url);
    }
}
