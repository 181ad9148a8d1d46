//! A speech endpoint over HTTP: OpenAI's `POST /v1/audio/speech`, which others speak too. It is the operator's own: no
//! policy of egress is asked.

use super::{markup, voices};
use crate::errands::egress::{Content, Egress, Exchange};
use crate::errands::sound::in_words;
use ivr::{Say, Timeouts};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::json;
use url::Url;

/// The longest speech, in octets.
pub const MAX_SPEECH: usize = 64 << 20;

/// How long it may take.
const TIMEOUTS: Timeouts = Timeouts { connect_ms: 5_000, read_ms: 15_000, total_ms: 30_000 };

/// Where it is, and what it is asked for.
#[derive(Clone)]
pub struct Endpoint {
    /// The whole URL: `http://127.0.0.1:8000/v1/audio/speech`.
    pub url: Url,
    /// The model: `tts-1`.
    pub model: String,
    /// The voice where a program names none of the endpoint's own.
    pub voice: String,
    /// Its key, where it wants one.
    pub key: Option<String>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({}, {}, {})", self.url, self.model, self.voice)
    }
}

/// What proves a key; in words, why it cannot be sent.
pub(super) fn bearer(key: &str) -> Result<HeaderValue, String> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {key}"))
        .map_err(|_| "the key of [speech] cannot stand in a header".to_owned())?;
    bearer.set_sensitive(true);
    Ok(bearer)
}

impl Endpoint {
    /// `say`, spoken: a WAV file; in words, why not.
    pub(super) async fn speak(&self, egress: &Egress, say: &Say) -> Result<Vec<u8>, String> {
        let input = if say.markup { markup::words(&say.text) } else { say.text.clone() };
        let voice = voices::endpoint(say, &self.voice);
        let mut body = json!({ "model": self.model, "input": input, "voice": voice, "response_format": "wav" });
        if let Some(language) = &say.language {
            // Not OpenAI's own; its relatives take it, and it passes over what it does not know.
            body["language"] = language.as_str().into();
        }
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        headers.extend(self.key.as_deref().map(bearer).transpose()?.map(|bearer| (AUTHORIZATION, bearer)));
        let exchange = Exchange {
            method: reqwest::Method::POST,
            url: self.url.clone(),
            headers,
            body: Content::Text(body.to_string()),
            timeouts: TIMEOUTS,
            most: MAX_SPEECH + 1,
        };
        let reply =
            egress.exchange(exchange).await.map_err(|fault| format!("the speech endpoint: {}", in_words(fault)))?;
        match reply.status {
            200 if reply.body.len() > MAX_SPEECH => Err("the speech is longer than can be played".to_owned()),
            200 => Ok(reply.body),
            status => Err(format!("the speech endpoint answers {status}")),
        }
    }
}
