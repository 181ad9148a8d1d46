//! A client of the switch's own API: what `tandem call`, `tandem status` and `tandem demo` speak.

use serde_json::Value;
use std::time::Duration;

/// The longest a request may take: an admission waits for one write to disk.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody there, or not HTTP.
    #[error("{url}: {error}")]
    Unreachable {
        /// The address asked.
        url: String,
        /// What went wrong.
        error: reqwest::Error,
    },
    /// The switch said no.
    #[error("{status} {code}: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The problem's stable code.
        code: String,
        /// What is wrong and what to do.
        detail: String,
    },
}

/// A switch, reached by HTTP.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl Client {
    /// A client of the switch at `base` (`http://127.0.0.1:3000`), with an API key.
    pub fn new(base: &str, key: &str) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).no_proxy().build()?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), key: key.to_owned() })
    }

    /// `GET` a resource.
    pub async fn get(&self, path: &str) -> Result<Value, ClientError> {
        let request = self.http.get(format!("{}{path}", self.base));
        self.send(request).await
    }

    /// `POST` a body.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        self.send(request).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, ClientError> {
        let unreachable = |error| ClientError::Unreachable { url: self.base.clone(), error };
        let response = request.bearer_auth(&self.key).send().await.map_err(unreachable)?;
        let status = response.status();
        let body: Value = response.json().await.map_err(unreachable)?;
        // /health answers 503 with a body that is no problem document.
        if status.is_success() || body.get("code").is_none() {
            return Ok(body);
        }
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        Err(ClientError::Refused { status: status.as_u16(), code: text("code"), detail: text("detail") })
    }
}
