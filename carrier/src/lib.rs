//! Trunks: what a carrier wants of us that is neither SIP's state machines nor call control.
//!
//! | module | what it is |
//! |---|---|
//! | `config` | [`TrunkConfig`]: a trunk as the configuration names it |
//! | `trunk` | [`Trunk`]: one that has been checked; Request-URI, identity headers, who is trusted |
//! | `twilio` | what is Twilio's own: address ranges, `X-Twilio-Error` (TWILIO.md §1) |
//! | `number` | [`Number`]: E.164 |
//! | `destination` | [`Destinations`]: where a tenant's calls may go |
//! | `rates` | [`Deck`]: what a call costs |
//! | `rewrite` | [`Rewrite`]: how a carrier writes numbers |
//! | `route` | [`in_order`]: which trunk a number is sent over |
//! | `outcome` | [`classify`]: what a final response means for failover |
//! | `q850` | SIP status to Q.850 cause, and the Reason header's |
//! | `permits` | [`Permits`]: calls a second and calls at once |
//! | `rest` | [`Rest`]: how long a trunk that failed is left alone |
//! | [`registration`] | [`Registration`]: outbound registration (RFC 3261 §10.2) as a pure machine |
//!
//! Nothing here may hold a socket, a clock, a task or a random source; whoever drives it brings time and randomness.

mod config;
mod destination;
mod number;
mod outcome;
mod permits;
mod q850;
mod rates;
pub mod registration;
mod rest;
mod rewrite;
mod route;
mod trunk;
mod twilio;

pub use config::{Inbound, Profile, TrunkConfig, TrunkError, TrunkName};
pub use destination::{DestinationError, Destinations, MAX_ENTRIES, NotOpen};
pub use number::{Number, NumberError};
pub use outcome::{Outcome, classify};
pub use permits::{Denied, MAX_CPS, Permit, Permits};
pub use q850::{NO_ANSWER, NORMAL_CLEARING, q850, reason_cause};
pub use rates::{Deck, MICRO, Rate};
pub use registration::{Registration, RegistrationState};
pub use rest::{DEFAULT_REST_S, MAX_REST_S, Rest};
pub use rewrite::{NumberForm, Rewrite, RewriteError};
pub use route::{DEFAULT_PRIORITY, Fit, MAX_PREFIXES, RouteConfig, RouteError, WhenFull, by_likelihood, in_order};
pub use sip_core::auth::Secret;
pub use sip_core::sdp::AudioCodec;
pub use sip_core::uri::Uri;
pub use trunk::{NotAdmitted, Trunk};
pub use twilio::{
    MEDIA_RANGES, SIGNALLING_RANGES, TwilioError, X_TWILIO_ACCOUNT_SID, X_TWILIO_CALL_SID, X_TWILIO_ERROR,
    parse_twilio_error,
};
