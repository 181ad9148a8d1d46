//! What the outside reaches: HTTP, the journal, the store.
//!
//! | module | what it is |
//! |---|---|
//! | [`http`] | the routes, and who may ask for what |
//! | [`journal`] | the append-only file that is the truth of what happened |
//! | [`ledger`] | writing facts down and looking them up; recovery; the projector |
//! | [`store`] | SQLite and PostgreSQL, a projection of the journal |
//! | [`metrics`], [`media_metrics`] | what `/metrics` counts, and what it asks of the media engine |
//! | [`keys`] | API keys and their rates |
//! | [`accounts`] | what a tenant is called, its auth token, its webhook secret |
//! | [`secrets`] | the key file that seals what must be readable again |
//! | [`idempotency`] | the same key and body, one call |
//! | [`directory`] | tenants, numbers, users, trunks, limits, as they are in force |
//! | [`registry`] | how other ones come into force: from the file, and over HTTP |
//! | [`webhooks`] | what becomes of a call, told to its `status_callback` |
//! | [`prompts`] | prompts by name, decoded off the call path |
//! | [`flows`] | flows by name |
//! | [`recordings`], [`mp3`] | the files of recordings, and what they are encoded with |
//! | [`backup`] | a copy of the journal, the database and the key file |
//! | [`capture`] | SIP messages as they were on the wire: a call's as a pcap, all of them to a HEP collector |
//! | [`rate`] | requests a minute, counted here or shared through Redis |
//! | [`telemetry`] | requests and calls as OpenTelemetry's spans |
//! | [`errands`] | what calls ask of the world outside: web servers, voices, files |
//! | [`commander`] | the way to signalling |
//!
//! The calls themselves live in `switch`: this crate tells it what was asked for, writes down what it says, and keeps no
//! state of a call of its own.

pub mod accounts;
pub mod backup;
pub mod capture;
pub mod commander;
pub mod directory;
pub mod errands;
pub mod flows;
pub mod http;
pub mod idempotency;
pub mod journal;
pub mod keys;
pub mod ledger;
pub mod locations;
pub mod media_metrics;
pub mod metrics;
pub mod mp3;
pub mod net_metrics;
pub mod prompts;
pub mod rate;
pub mod recordings;
mod refused;
pub mod registry;
pub mod secrets;
pub mod store;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod webhooks;
mod words;

pub use commander::{Commander, Full};
pub use directory::{Directory, Limits, Origin, OwnedNumber, Tenant, Trunk, User};
pub use errands::Errands;
pub use flows::Flows;
pub use http::{App, MAX_STREAMS_OF_TENANT, Parts, SipHealth, TrunkHealth, TrunkState, document, router, serve};
pub use keys::{Keys, Scope, create_key};
pub use ledger::{JournalConfig, Ledger, LedgerError, Recovered};
pub use locations::Locations;
pub use media_metrics::AskMedia;
pub use net_metrics::{AskNet, SocketFigures};
pub use prompts::{Builtin, PromptError, Prompts};
pub use recordings::Recordings;
pub use refused::Refused;
pub use registry::{Registry, RegistryError};
pub use store::{Store, StoreError};

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A wall clock: milliseconds since the Unix epoch (UTC).
pub type Wall = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The operating system's wall clock.
#[must_use]
pub fn system_wall() -> Wall {
    Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64))
}
