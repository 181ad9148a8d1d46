//! A recogniser over HTTP: OpenAI's `POST /v1/audio/transcriptions`, which others speak too. It is the operator's own: no
//! policy of egress is asked.

use super::endpoint::bearer;
use crate::errands::egress::{Content, Egress, Exchange};
use crate::errands::sound::in_words;
use ivr::Timeouts;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::multipart::{Form, Part};
use serde::Deserialize;
use switch::{Heard, Utterance};
use url::Url;

/// Octets of an answer: far more than anybody says in an utterance.
const MAX_ANSWER: usize = 1 << 20;

/// How long it may take: a caller waits in silence meanwhile.
const TIMEOUTS: Timeouts = Timeouts { connect_ms: 5_000, read_ms: 15_000, total_ms: 10_000 };

/// Where it is, and what it is asked for.
#[derive(Clone)]
pub struct Recogniser {
    /// The whole URL: `http://127.0.0.1:8000/v1/audio/transcriptions`.
    pub url: Url,
    /// The model: `whisper-1`.
    pub model: String,
    /// Its key, where it wants one.
    pub key: Option<String>,
}

impl std::fmt::Debug for Recogniser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recogniser({}, {})", self.url, self.model)
    }
}

/// What it answers.
#[derive(Deserialize)]
struct Answer {
    text: String,
    /// From 0 to 1. Not OpenAI's own.
    confidence: Option<f64>,
}

impl Recogniser {
    /// What was said; in words, why that is not known.
    pub(super) async fn hear(&self, egress: &Egress, utterance: &Utterance) -> Result<Heard, String> {
        let file = Part::bytes(utterance.wav.clone()).file_name("utterance.wav").mime_str("audio/wav");
        let file = file.map_err(|error| format!("the recogniser cannot be asked: {error}"))?;
        let mut form = Form::new().part("file", file).text("model", self.model.clone());
        form = form.text("response_format", "json");
        // ISO 639, without the region (OpenAI's `language`).
        let language = utterance.language.split('-').next().unwrap_or_default().to_ascii_lowercase();
        if !language.is_empty() {
            form = form.text("language", language);
        }
        if !utterance.hints.is_empty() {
            form = form.text("prompt", utterance.hints.clone());
        }
        let mut headers = HeaderMap::new();
        headers.extend(self.key.as_deref().map(bearer).transpose()?.map(|bearer| (AUTHORIZATION, bearer)));
        let exchange = Exchange {
            method: reqwest::Method::POST,
            url: self.url.clone(),
            headers,
            body: Content::Form(form),
            timeouts: TIMEOUTS,
            most: MAX_ANSWER,
        };
        let reply = egress.exchange(exchange).await.map_err(|fault| format!("the recogniser: {}", in_words(fault)))?;
        if reply.status != 200 {
            return Err(format!("the recogniser answers {}", reply.status));
        }
        let answer: Answer = serde_json::from_slice(&reply.body)
            .map_err(|error| format!("the recogniser's answer is no {{\"text\": …}}: {error}"))?;
        let confidence = answer.confidence.map(|sure| (sure.clamp(0.0, 1.0) * 1_000.0).round() as u16);
        Ok(Heard { text: answer.text.trim().to_owned(), confidence })
    }
}
