//! Recordings as MP3, made while they are fetched by `lame`, a process of its own: its licence is none that we link.

use axum::body::Bytes;
use futures_util::Stream;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Recordings that are encoded at once, on cores that calls need too; more wait for one of these to end.
pub const ENCODING: usize = 2;

/// Octets that are handed on together.
const CHUNK: usize = 16 * 1024;

/// The program, as it is found in the `PATH`.
const PROGRAM: &str = "lame";

/// Why there is no MP3.
#[derive(Debug, thiserror::Error)]
pub enum Mp3Error {
    /// Nobody makes one.
    #[error(
        "there is nothing to make MP3 with: install lame (apt-get install lame), or take the recording as it is, as .wav"
    )]
    NoEncoder,
    /// The system does not let us.
    #[error("lame: {0}")]
    System(#[from] io::Error),
}

/// Whoever encodes, a few at a time. Cloning is cheap; all clones are one.
#[derive(Clone, Debug)]
pub struct Encoders(Arc<Semaphore>);

impl Default for Encoders {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ENCODING)))
    }
}

/// One that is at work; it ends with whoever listens to it.
struct Encoding {
    child: Child,
    out: ChildStdout,
    _permit: OwnedSemaphorePermit,
}

impl Encoders {
    /// A WAV file as MP3, piece by piece; the last is an error where the encoder has failed, so that half a file is not
    /// taken for a whole one.
    ///
    /// # Errors
    /// [`Mp3Error::NoEncoder`] where `lame` is not installed; where the system does not start it.
    pub async fn encode(&self, wav: &Path) -> Result<impl Stream<Item = io::Result<Bytes>> + use<>, Mp3Error> {
        let permit = self.0.clone().acquire_owned().await.map_err(io::Error::other)?;
        let mut command = Command::new(PROGRAM);
        command.arg("--quiet").arg("-V4").arg(wav).arg("-");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Mp3Error::NoEncoder,
            _ => error.into(),
        })?;
        let out = child.stdout.take().ok_or_else(|| io::Error::other("it has no output"))?;
        let encoding = Encoding { child, out, _permit: permit };
        Ok(futures_util::stream::unfold(Some(encoding), |encoding| async {
            let mut encoding = encoding?;
            match encoding.next().await {
                Ok(Some(piece)) => Some((Ok(piece), Some(encoding))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }))
    }
}

impl Encoding {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let mut piece = vec![0; CHUNK];
        let length = self.out.read(&mut piece).await?;
        if length > 0 {
            piece.truncate(length);
            return Ok(Some(piece.into()));
        }
        match self.child.wait().await? {
            status if status.success() => Ok(None),
            status => Err(io::Error::other(format!("lame has failed: {status}"))),
        }
    }
}
