//! Logs: structured, on standard error; `TANDEM_LOG` selects (`info` by default), `TANDEM_LOG_FORMAT=json` for machines.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging; once a process.
pub fn start(default: &str) {
    let filter = EnvFilter::try_from_env("TANDEM_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let json = std::env::var("TANDEM_LOG_FORMAT").is_ok_and(|format| format == "json");
    let started = if json { builder.json().try_init() } else { builder.try_init() };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was started before");
    }
}
