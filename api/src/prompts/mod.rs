//! Prompts by name: the built-in sounds, and the files of `prompts.dir`, which take precedence.
//!
//! A prompt is found and decoded when a call that names it is asked for, so that a missing or broken one is a 400 at the
//! POST and not a silence in mid-call. Decoding runs on a worker pool; the switch gets the prompt before the call that
//! needs it. A file that changed is read again.

mod folder;

use crate::commander::Commander;
use folder::{Folder, Found, Stamp};
use media::prompt::decode;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use switch::Command;
use tokio::sync::Semaphore;

/// Files decoded at the same time; a further one waits.
pub const DECODING: usize = 2;

/// Prompts that the switch may know. A request that names one more gets an error until the next start.
pub const MAX_PROMPTS: usize = 10_000;

/// A sound that is part of the program: its name and its WAV.
pub type Builtin = (&'static str, &'static [u8]);

/// Why a call cannot be made with the prompts it names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// There is none of this name.
    #[error("there is no prompt `{name}`{}", nearest.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    Unknown {
        /// The name.
        name: String,
        /// One that there is.
        nearest: Option<String>,
    },
    /// There is a file, and it is no prompt.
    #[error("{reason}")]
    Unreadable {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// [`MAX_PROMPTS`].
    #[error("the switch knows {MAX_PROMPTS} prompts already and takes no more")]
    TooMany,
    /// Signalling has ended.
    #[error("the switch is going down")]
    Gone,
}

/// What the switch knows of a prompt: the file's stamp when it was read.
#[derive(Debug, Default)]
struct Slot {
    sent: tokio::sync::Mutex<Option<Stamp>>,
}

/// The catalogue. Cloning is cheap; all clones are one.
#[derive(Clone)]
pub struct Prompts {
    inner: Arc<Inner>,
}

struct Inner {
    builtin: &'static [Builtin],
    folder: Option<Folder>,
    commander: Commander,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    decoding: Semaphore,
}

impl Prompts {
    /// A catalogue of `builtin` sounds and the files of `dir`, whose prompts go to the switch by `commander`.
    #[must_use]
    pub fn new(builtin: &'static [Builtin], dir: Option<PathBuf>, commander: Commander) -> Self {
        let inner = Inner {
            builtin,
            folder: dir.map(Folder::new),
            commander,
            slots: Mutex::default(),
            decoding: Semaphore::new(DECODING),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Returns when the switch has been told of every one of `names`.
    ///
    /// # Errors
    /// The first that there is not, or that cannot be read.
    pub async fn ensure<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<(), PromptError> {
        for name in names {
            self.inner.ensure(name).await?;
        }
        Ok(())
    }
}

impl Inner {
    async fn ensure(self: &Arc<Self>, name: &str) -> Result<(), PromptError> {
        let source = self.find(name).await?;
        let slot = self.slot(name)?;
        let mut sent = slot.sent.lock().await;
        if *sent == Some(source.stamp()) {
            return Ok(());
        }
        let stamp = source.stamp();
        let prompt = self.decode(name, source).await?;
        self.commander.send(Command::Prompt(Arc::new(prompt))).await.map_err(|_| PromptError::Gone)?;
        *sent = Some(stamp);
        Ok(())
    }

    async fn find(self: &Arc<Self>, name: &str) -> Result<Source, PromptError> {
        if self.folder.is_some() {
            let (this, named) = (self.clone(), name.to_owned());
            let found =
                tokio::task::spawn_blocking(move || this.folder.as_ref().and_then(|folder| folder.find(&named)));
            if let Ok(Some(found)) = found.await {
                return Ok(Source::File(found));
            }
        }
        let builtin = self.builtin.iter().find(|(known, _)| *known == name);
        builtin.map(|(_, wav)| Source::Builtin(wav)).ok_or_else(|| PromptError::Unknown {
            name: name.to_owned(),
            nearest: crate::words::nearest(name, self.builtin.iter().map(|(known, _)| *known)).map(str::to_owned),
        })
    }

    fn slot(&self, name: &str) -> Result<Arc<Slot>, PromptError> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(name) {
            return Ok(slot.clone());
        }
        if slots.len() >= MAX_PROMPTS {
            return Err(PromptError::TooMany);
        }
        Ok(slots.entry(name.to_owned()).or_default().clone())
    }

    async fn decode(&self, name: &str, source: Source) -> Result<media::Prompt, PromptError> {
        let _permit = self.decoding.acquire().await.map_err(|_| PromptError::Gone)?;
        let owned = name.to_owned();
        let decoded = tokio::task::spawn_blocking(move || {
            let decoded = match source {
                Source::Builtin(wav) => decode(&owned, wav, "wav").map_err(|error| error.to_string()),
                Source::File(found) => {
                    let bytes = found.read().map_err(|error| format!("prompt `{owned}` cannot be read: {error}"))?;
                    decode(&owned, &bytes, found.extension).map_err(|error| error.to_string())
                }
            };
            // Every codec that is offered: whoever plays it encodes nothing.
            decoded.map(|prompt| prompt.rendered(media::Codec::G722).rendered(media::Codec::Opus))
        });
        let decoded = decoded.await.unwrap_or_else(|_| Err(format!("prompt `{name}` could not be decoded")));
        decoded.map_err(|reason| PromptError::Unreadable { name: name.to_owned(), reason })
    }
}

enum Source {
    Builtin(&'static [u8]),
    File(Found),
}

impl Source {
    fn stamp(&self) -> Stamp {
        match self {
            Self::Builtin(wav) => Stamp { modified: None, octets: wav.len() as u64 },
            Self::File(found) => found.stamp,
        }
    }
}
