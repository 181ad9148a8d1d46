//! Sound files from the web: fetched by the same way out as everything, decoded off the async workers, and kept for as
//! long as their server says, within [`MAX_FRESH`].

use super::cache::{Cache, Kept};
use super::egress::{Content, Egress, Exchange, Reply};
use ivr::{FetchFault, Timeouts};
use media::Prompt;
use reqwest::header::{HeaderMap, HeaderValue, IF_NONE_MATCH};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use url::Url;

/// The longest file, in octets. A longer one is not played.
pub const MAX_FILE: usize = 32 << 20;

/// Octets of decoded sound that are kept.
pub const CACHE: usize = 128 << 20;

/// The longest that a sound is played without asking its server again.
pub const MAX_FRESH: Duration = Duration::from_secs(3_600);

/// How long it is where its server does not say.
pub const FRESH: Duration = Duration::from_secs(60);

/// Redirections that are followed; each goes through the same policy.
pub const MAX_REDIRECTS: usize = 3;

/// Files decoded at the same time; a further one waits.
pub const DECODING: usize = 2;

/// How long a file may take.
const TIMEOUTS: Timeouts = Timeouts { connect_ms: 5_000, read_ms: 15_000, total_ms: 30_000 };

/// Brings sounds.
pub(super) struct Sounds {
    egress: Egress,
    cache: Cache,
    decoder: Decoder,
}

impl Sounds {
    pub(super) fn new(egress: Egress, decoder: Decoder) -> Self {
        Self { egress, cache: Cache::new(CACHE), decoder }
    }

    /// The sound at `url`; in words, why not. What one tenant was given no other is given.
    pub(super) async fn bring(&self, tenant: &str, url: &Url) -> Result<Arc<Prompt>, String> {
        let key = format!("{tenant} {url}");
        let kept = self.cache.get(&key);
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_fresh()) {
            return Ok(Arc::clone(&kept.sound));
        }
        let reply = self.get(url, kept.as_ref().and_then(|kept| kept.etag.as_deref())).await?;
        let (fresh, etag) = (freshness(reply.header("cache-control")), reply.header("etag"));
        let etag = Some(etag.to_owned()).filter(|etag| !etag.is_empty());
        let etag = etag.or_else(|| kept.as_ref().and_then(|kept| kept.etag.clone()));
        let sound = match kept {
            Some(kept) if reply.status == 304 => kept.sound,
            _ if reply.status != 200 => return Err(format!("its server answers {}", reply.status)),
            _ => self.decoder.decode(name(url), reply.body.clone(), extension(url, &reply)).await?,
        };
        if let Some(fresh) = fresh {
            let kept = Kept { sound: Arc::clone(&sound), fresh_until: Some(Instant::now() + fresh), etag };
            self.cache.put(&key, kept);
        }
        Ok(sound)
    }

    async fn get(&self, url: &Url, etag: Option<&str>) -> Result<Reply, String> {
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut headers = HeaderMap::new();
            if let Some(etag) = etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
                headers.insert(IF_NONE_MATCH, etag);
            }
            url.set_fragment(None);
            let method = reqwest::Method::GET;
            let most = MAX_FILE + 1;
            let exchange =
                Exchange { method, url: url.clone(), headers, body: Content::Nothing, timeouts: TIMEOUTS, most };
            let reply = self.egress.exchange(exchange).await.map_err(in_words)?;
            if reply.body.len() > MAX_FILE {
                return Err(format!("it is longer than {} MiB", MAX_FILE >> 20));
            }
            if !matches!(reply.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(reply);
            }
            let to = reply.header("location");
            url = url.join(to).map_err(|_| format!("its server answers {} and says no place", reply.status))?;
        }
        Err(format!("it was redirected more than {MAX_REDIRECTS} times"))
    }
}

/// A fault as a caller's warning says it.
pub(super) fn in_words(fault: FetchFault) -> String {
    match fault {
        FetchFault::Connect(why) => format!("its server cannot be reached: {why}"),
        FetchFault::Timeout => "its server does not answer in time".to_owned(),
        FetchFault::Protocol(why) => format!("its server does not speak HTTP: {why}"),
        FetchFault::Refused(why) => why,
    }
}

/// How long `Cache-Control` lets a sound be played without asking; `None`: it is not to be kept.
fn freshness(cache_control: &str) -> Option<Duration> {
    let mut fresh = FRESH;
    for directive in cache_control.split(',').map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.to_ascii_lowercase().as_str() {
            "no-store" => return None,
            "no-cache" => fresh = Duration::ZERO,
            "max-age" => {
                let seconds = value.trim_matches('"').parse().unwrap_or(0);
                fresh = Duration::from_secs(seconds).min(MAX_FRESH);
            }
            _ => {}
        }
    }
    Some(fresh)
}

/// What the log and the decoder's errors call it: never its query, which may hold secrets.
fn name(url: &Url) -> String {
    format!("{}{}", url.host_str().unwrap_or_default(), url.path())
}

/// What the file seems to be.
fn extension(url: &Url, reply: &Reply) -> &'static str {
    let kind = reply.header("content-type").split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let of_path = || url.path().rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    match kind.as_str() {
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/flac" | "audio/x-flac" => "flac",
        "audio/ogg" | "application/ogg" => "ogg",
        _ => ["wav", "mp3", "flac", "ogg"].into_iter().find(|known| *known == of_path()).unwrap_or_default(),
    }
}

/// Decodes, a few at a time, where it holds up nobody. Cloning is cheap; all clones are one.
#[derive(Clone)]
pub(super) struct Decoder {
    at_once: Arc<Semaphore>,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { at_once: Arc::new(Semaphore::new(DECODING)) }
    }

    /// The sound in a file; in words, why there is none.
    pub(super) async fn decode(
        &self,
        name: String,
        bytes: Vec<u8>,
        extension: &'static str,
    ) -> Result<Arc<Prompt>, String> {
        let _permit = self.at_once.acquire().await.map_err(|_| "the switch is going down".to_owned())?;
        let decoded = tokio::task::spawn_blocking(move || {
            let decoded = media::prompt::decode(&name, &bytes, extension);
            // Every codec that is offered: whoever plays it encodes nothing.
            decoded.map(|prompt| Arc::new(prompt.rendered(media::Codec::G722).rendered(media::Codec::Opus)))
        });
        match decoded.await {
            Ok(decoded) => decoded.map_err(|error| error.to_string()),
            Err(_) => Err("it could not be decoded: a fault of ours".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_is_fresh_for_as_long_as_its_server_says_and_an_hour_at_most() {
        assert_eq!(freshness(""), Some(FRESH));
        assert_eq!(freshness("public, max-age=5"), Some(Duration::from_secs(5)));
        assert_eq!(freshness("max-age=999999"), Some(MAX_FRESH));
        assert_eq!(freshness("max-age=never"), Some(Duration::ZERO));
        assert_eq!(freshness("no-cache"), Some(Duration::ZERO));
        assert_eq!(freshness("max-age=60, No-Store"), None);
    }
}
