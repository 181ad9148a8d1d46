//! `tandem serve`: the switch, until a signal, or until HTTP asks it to drain.

use super::{Outcome, load};
use crate::config::Config;
use crate::process::{DRAIN_LIMIT, Process};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::Path;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Descriptors that the process wants to be able to hold: two a call, and room.
const WANTED_FILES: u64 = 65_536;

/// Runs the switch until SIGTERM, SIGINT or `POST /v1/admin/drain`; then drains, and ends at once on a signal.
pub async fn serve(path: &Path) -> Outcome {
    // Before all else: by default SIGHUP ends a process, and whoever sees it may send one.
    let mut hangup = signal(SignalKind::hangup())?;
    let config = load(path)?;
    crate::log::redact_numbers(config.redact_numbers);
    config.notes.iter().for_each(|note| tracing::warn!("{note}"));
    raise_files();
    let mut signals = Signals::listen()?;
    let process = Process::start(&config).await?;
    for (transport, addr) in &process.sip {
        tracing::info!(%transport, %addr, "SIP");
    }
    tracing::info!(addr = %process.http, "HTTP");
    notify(&sd_notify::NotifyState::Ready);
    loop {
        tokio::select! {
            () = signals.next() => break,
            () = process.drain_asked() => break,
            Some(()) = hangup.recv() => reload(path, &config, &process).await,
        }
    }
    tracing::info!(live = process.live(), "draining: new calls are refused, live ones may finish");
    notify(&sd_notify::NotifyState::Stopping);
    process.drain();
    tokio::select! {
        () = process.drained() => {}
        () = signals.next() => tracing::info!(live = process.live(), "asked again: live calls are ended"),
        () = tokio::time::sleep(DRAIN_LIMIT) => tracing::warn!(live = process.live(), "drained for long enough: live calls are ended"),
    }
    process.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// Reads the file again. One that is faulty is refused, each mistake in a line, and all goes on as it was.
async fn reload(path: &Path, began: &Config, process: &Process) {
    notify(&sd_notify::NotifyState::Reloading);
    let reloaded = match load(path) {
        // Whoever writes the file anew empties it first: what has been read then is no wish of theirs.
        Ok(config) if config.is_bare && !began.is_bare => {
            let file = path.display();
            Err(format!("{file} says nothing: write the configuration that is to be in force, then send SIGHUP again"))
        }
        Ok(config) => {
            for section in began.want_restart(&config) {
                tracing::warn!("[{section}] has changed; that takes a restart");
            }
            crate::log::redact_numbers(config.redact_numbers);
            process.reload(&config).await.map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    match reloaded {
        Ok(aside) => {
            aside.iter().for_each(|note| tracing::warn!("{note}"));
            tracing::info!("the configuration was read again: tenants, trunks, numbers, users and limits are in force");
        }
        Err(error) => {
            error.lines().for_each(|line| tracing::warn!("{line}"));
            tracing::warn!("the configuration was not taken: all is as it was");
        }
    }
    notify(&sd_notify::NotifyState::Ready);
}

struct Signals {
    term: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn notify(state: &sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(false, std::slice::from_ref(state)) {
        tracing::debug!(%error, "systemd does not hear us");
    }
}

/// Raises `nofile` as far as it goes, and grows the descriptor table once: in a threaded process each doubling of it
/// stalls `socket()` for tens of milliseconds (PEERS.md §2).
pub fn raise_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let most = maximum.unwrap_or(WANTED_FILES).min(WANTED_FILES);
    if current.is_none_or(|current| current >= most) {
        return grow_table(current.unwrap_or(WANTED_FILES).min(WANTED_FILES));
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum }) {
        Ok(()) => grow_table(most),
        Err(error) => tracing::warn!(%error, "cannot raise the limit of open files"),
    }
}

fn grow_table(files: u64) {
    let grow = || -> std::io::Result<()> {
        let null = std::fs::File::open("/dev/null")?;
        let high = i32::try_from(files.saturating_sub(1)).unwrap_or(i32::MAX);
        rustix::io::fcntl_dupfd_cloexec(&null, high)?;
        Ok(())
    };
    if let Err(error) = grow() {
        tracing::debug!(%error, "the descriptor table was not grown");
    }
}
