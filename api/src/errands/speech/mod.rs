//! Words, spoken: by an HTTP endpoint where one is configured, by espeak-ng where not, and kept by the digest of what was
//! said by whom, in memory and on disk. And words heard, written down by a recogniser.

mod disk;
mod endpoint;
mod espeak;
mod markup;
mod recogniser;
mod voices;

pub use endpoint::Endpoint;
pub use recogniser::Recogniser;

use super::cache::{Cache, Kept};
use super::egress::Egress;
use super::sound::Decoder;
use disk::Disk;
use ivr::Say;
use media::Prompt;
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use switch::{Heard, Utterance};
use tokio::sync::Semaphore;

/// Texts spoken at the same time; a further one waits.
pub const SPEAKING: usize = 4;

/// Octets of decoded speech that are kept in memory.
pub const CACHE: usize = 64 << 20;

/// `[speech]`
#[derive(Clone, Debug)]
pub struct SpeechConfig {
    /// Who speaks; none: espeak-ng does.
    pub endpoint: Option<Endpoint>,
    /// Who understands what callers say; none: nobody does.
    pub recogniser: Option<Recogniser>,
    /// The program espeak-ng: a name that is looked for in `PATH`, or a path.
    pub espeak: OsString,
    /// Where speech is kept over a restart, and how many octets of it.
    pub cache: Option<(PathBuf, u64)>,
}

impl Default for SpeechConfig {
    fn default() -> Self {
        Self { endpoint: None, recogniser: None, espeak: "espeak-ng".into(), cache: None }
    }
}

/// Speaks.
pub(super) struct Speech {
    config: SpeechConfig,
    /// For the endpoints: everywhere.
    egress: Egress,
    decoder: Decoder,
    cache: Cache,
    disk: Option<Disk>,
    at_once: Semaphore,
}

impl Speech {
    /// By `config`; `egress` leads to the endpoints.
    pub(super) fn new(config: SpeechConfig, egress: Egress, decoder: Decoder) -> Self {
        let disk = config.cache.clone().map(|(dir, most)| Disk::new(dir, most));
        Self { config, egress, decoder, cache: Cache::new(CACHE), disk, at_once: Semaphore::new(SPEAKING) }
    }

    /// `say`, once; in words, why not.
    pub(super) async fn bring(&self, say: &Say) -> Result<Arc<Prompt>, String> {
        let key = self.key(say);
        if let Some(kept) = self.cache.get(&key) {
            return Ok(kept.sound);
        }
        let _permit = self.at_once.acquire().await.map_err(|_| "the switch is going down".to_owned())?;
        // Another call may have had it spoken while this one waited.
        if let Some(kept) = self.cache.get(&key) {
            return Ok(kept.sound);
        }
        let name = format!("speech {}", &key[..8]);
        let sound = match self.kept_on_disk(&key).await {
            // What cannot be read any more is spoken again.
            Some(wav) => self.decoder.decode(name.clone(), wav, "wav").await.ok(),
            None => None,
        };
        let sound = match sound {
            Some(sound) => sound,
            None => {
                let wav = self.speak(say).await?;
                let sound = self.decoder.decode(name, wav.clone(), "wav").await?;
                self.keep_on_disk(&key, wav).await;
                sound
            }
        };
        self.cache.put(&key, Kept { sound: Arc::clone(&sound), fresh_until: None, etag: None });
        Ok(sound)
    }

    /// What was said; in words, why that is not known.
    pub(super) async fn hear(&self, utterance: &Utterance) -> Result<Heard, String> {
        let recogniser = self.config.recogniser.as_ref();
        let recogniser = recogniser.ok_or("there is no recogniser: name one as recogniser_url in [speech]")?;
        recogniser.hear(&self.egress, utterance).await
    }

    async fn speak(&self, say: &Say) -> Result<Vec<u8>, String> {
        match &self.config.endpoint {
            Some(endpoint) => endpoint.speak(&self.egress, say).await,
            None => espeak::speak(&self.config.espeak, say).await,
        }
    }

    /// Who says what, as 64 hexadecimal digits.
    fn key(&self, say: &Say) -> String {
        let engine = match &self.config.endpoint {
            Some(Endpoint { url, model, voice, .. }) => format!("{url} {model} {voice}"),
            None => "espeak-ng".to_owned(),
        };
        let asked = serde_json::json!([engine, say.voice, say.language, say.markup, say.text]).to_string();
        Sha256::digest(asked).iter().map(|octet| format!("{octet:02x}")).collect()
    }

    async fn kept_on_disk(&self, key: &str) -> Option<Vec<u8>> {
        let (disk, key) = (self.disk.clone()?, key.to_owned());
        tokio::task::spawn_blocking(move || disk.get(&key)).await.ok().flatten()
    }

    async fn keep_on_disk(&self, key: &str, wav: Vec<u8>) {
        let Some(disk) = self.disk.clone() else { return };
        let key = key.to_owned();
        match tokio::task::spawn_blocking(move || disk.put(&key, &wav)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "speech cannot be kept on disk: see cache_dir in [speech]"),
            Err(_) => tracing::error!("keeping speech on disk ended in a panic"),
        }
    }
}
