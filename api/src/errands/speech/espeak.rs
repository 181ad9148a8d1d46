//! espeak-ng, as a process of its own: text in on its standard input, WAV out.

use super::{markup, voices};
use ivr::Say;
use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// How long it may take. It speaks some hundred times faster than one can listen.
pub const TIME: Duration = Duration::from_secs(20);

/// Octets of speech that are read: ten minutes. What would be longer is an error.
pub const MAX_SPEECH: u64 = 32 << 20;

/// Octets of its complaint that are read.
const MAX_COMPLAINT: u64 = 1_024;

/// Where a WAV says how long it is: of the whole, and of its samples.
const LENGTHS: [(usize, usize); 2] = [(4, 8), (40, 44)];

/// `say`, spoken: a WAV file; in words, why not.
pub(super) async fn speak(program: &OsStr, say: &Say) -> Result<Vec<u8>, String> {
    let speaking = run(program, say);
    tokio::time::timeout(TIME, speaking).await.unwrap_or_else(|_| Err("espeak-ng takes too long".to_owned()))
}

async fn run(program: &OsStr, say: &Say) -> Result<Vec<u8>, String> {
    let voice = voices::espeak(say);
    let marked = if say.markup { markup::speak(&say.text) } else { None };
    let mut command = Command::new(program);
    command.args(["--stdin", "--stdout", "-b", "1", "-v", &voice]);
    if marked.is_some() {
        command.arg("-m");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).current_dir("/");
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is nothing to speak with: install espeak-ng (apt-get install espeak-ng), or write the URL of a speech endpoint as url in [speech]".to_owned(),
        _ => format!("espeak-ng cannot be started: {error}"),
    })?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err("espeak-ng has no pipes".to_owned());
    };
    let text = marked.unwrap_or_else(|| say.text.clone());
    let write = async move {
        // One that hears only half of it says so by its status.
        let _ = stdin.write_all(text.as_bytes()).await;
    };
    let (mut wav, mut complaint) = (Vec::new(), Vec::new());
    let (mut stdout, mut stderr) = (stdout.take(MAX_SPEECH + 1), stderr.take(MAX_COMPLAINT));
    let reads = async { tokio::try_join!(stdout.read_to_end(&mut wav), stderr.read_to_end(&mut complaint)) };
    let ((), read) = tokio::join!(write, reads);
    read.map_err(|error| format!("espeak-ng cannot be read: {error}"))?;
    if wav.len() as u64 > MAX_SPEECH {
        return Err("the speech is longer than can be played".to_owned());
    }
    let status = child.wait().await.map_err(|error| format!("espeak-ng is lost: {error}"))?;
    if !status.success() {
        let complaint = String::from_utf8_lossy(&complaint);
        return Err(format!("espeak-ng does not speak with the voice {voice}: {}", complaint.trim()));
    }
    say_length(&mut wav);
    Ok(wav)
}

/// Into a pipe it writes a header before it knows how long the rest is.
fn say_length(wav: &mut [u8]) {
    let length = wav.len();
    for (at, before) in LENGTHS {
        let rest = u32::try_from(length.saturating_sub(before)).unwrap_or(u32::MAX);
        if let Some(field) = wav.get_mut(at..at + 4) {
            field.copy_from_slice(&rest.to_le_bytes());
        }
    }
}
