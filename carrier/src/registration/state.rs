//! The states of a registration, and how they look from outside.

use super::limits::MIN_REFRESH_S;
use base::{Now, Rng, secs};
use std::fmt;

/// What a registration is like, for events and health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationState {
    /// Not registered, and not trying to be.
    Unregistered,
    /// The first REGISTER, or the next after a failure, is out.
    Registering,
    /// The registrar holds our binding; refreshing it does not change this.
    Registered,
    /// The last REGISTER failed. A binding from before may stand until it expires.
    Failed {
        /// The status it met; none where it could not be sent.
        status: Option<u16>,
        /// When it is tried again (monotonic nanoseconds).
        retry_at: u64,
    },
    /// The REGISTER that takes the binding back is out.
    Unregistering,
}

impl fmt::Display for RegistrationState {
    /// For people and logs: `registered`, `failed with 403`, …
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unregistered => f.write_str("unregistered"),
            Self::Registering => f.write_str("registering"),
            Self::Registered => f.write_str("registered"),
            Self::Failed { status: Some(status), .. } => write!(f, "failed with {status}"),
            Self::Failed { status: None, .. } => f.write_str("failed: no connection"),
            Self::Unregistering => f.write_str("unregistering"),
        }
    }
}

/// What the machine waits for. Times are monotonic nanoseconds.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// To be started.
    Idle,
    /// The outcome of a REGISTER.
    Asking(Asking),
    /// The time to refresh.
    Held(Held),
    /// The time to try again.
    Waiting(Waiting),
    /// The outcome of the REGISTER that takes the binding back; and then perhaps a new start.
    Leaving { restart: bool },
}

/// A REGISTER is out.
#[derive(Clone, Debug, Default)]
pub(super) struct Asking {
    /// Seconds asked for.
    pub(super) expires: u32,
    /// When the binding from before expires.
    pub(super) binding: Option<u64>,
    /// Failures in a row before this one.
    pub(super) failures: u32,
    /// A 423 has made it ask for longer: the next 423 is a failure.
    pub(super) asked_longer: bool,
    /// The binding is to be taken back as soon as the outcome is known.
    pub(super) stopping: bool,
}

/// The registrar holds our binding.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// When it expires.
    pub(super) until: u64,
    refresh_at: u64,
}

/// A REGISTER has failed.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) until: u64,
    pub(super) failures: u32,
    pub(super) status: Option<u16>,
    /// When the binding from before expires.
    pub(super) binding: Option<u64>,
}

impl Asking {
    /// Whether the Min-Expires of a 423 can be met (RFC 3261 §10.2.8).
    pub(super) fn may_ask_for(&self, least: u32) -> bool {
        !self.asked_longer && (self.expires.saturating_add(1)..=super::limits::MAX_EXPIRES_S).contains(&least)
    }
}

impl Held {
    /// Granted now for so many seconds; refreshed after 70 to 80 % of them, spread so that many registrations that began
    /// together do not stay together.
    pub(super) fn new(seconds: u32, rng: &mut Rng, now: Now) -> Self {
        let whole = secs(seconds.into());
        let after = (whole / 10 * 7 + rng.below(whole / 10 + 1)).max(secs(MIN_REFRESH_S));
        Self { until: now.mono.saturating_add(whole), refresh_at: now.mono.saturating_add(after) }
    }
}

impl State {
    pub(super) const fn deadline(&self) -> Option<u64> {
        match self {
            Self::Held(held) => Some(held.refresh_at),
            Self::Waiting(waiting) => Some(waiting.until),
            Self::Idle | Self::Asking(_) | Self::Leaving { .. } => None,
        }
    }

    /// When the registrar's binding of us expires, where it holds one.
    pub(super) const fn binding(&self) -> Option<u64> {
        match self {
            Self::Held(held) => Some(held.until),
            Self::Asking(asking) => asking.binding,
            Self::Waiting(waiting) => waiting.binding,
            Self::Idle | Self::Leaving { .. } => None,
        }
    }

    pub(super) const fn shown(&self) -> RegistrationState {
        match self {
            Self::Idle => RegistrationState::Unregistered,
            Self::Asking(asking) if asking.binding.is_some() && asking.failures == 0 => RegistrationState::Registered,
            Self::Asking(_) => RegistrationState::Registering,
            Self::Held(_) => RegistrationState::Registered,
            Self::Waiting(waiting) => RegistrationState::Failed { status: waiting.status, retry_at: waiting.until },
            Self::Leaving { .. } => RegistrationState::Unregistering,
        }
    }
}
