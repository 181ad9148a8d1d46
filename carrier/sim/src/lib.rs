//! A carrier that behaves as a real one does, faults included: for tests on virtual time and, the same code, on real
//! sockets (`tandem carrier`, `tandem demo`, a load).
//!
//! | module | what it is |
//! |---|---|
//! | [`script`] | what one call meets, in a line of plain words |
//! | [`config`] | which call meets which script |
//! | [`Carrier`] | the carrier itself: sans-IO, like the cores it is made of |
//! | [`edge`] | the faults, and Twilio's manners (TWILIO.md §1) |
//! | [`load`] | calls at a pace that nothing slows down, and what became of each |
//! | [`listen`](mod@listen) | which prompt was heard, and whether it was whole |
//! | [`node`] | what stands on a network: a carrier, a switch, a test's phone |
//! | [`virtual_network`] | a network and a clock as values, replayable from one seed |
//! | `net` | the same carrier on real sockets (feature `net`) |
//!
//! It imports only `base`, `sip-core` and `media`, and nothing that answers calls for a living imports it.

mod carrier;
pub mod config;
pub mod edge;
pub mod listen;
pub mod load;
#[cfg(feature = "net")]
pub mod net;
pub mod node;
mod report;
pub mod script;
pub mod twilio;
pub mod virtual_network;

pub use carrier::{Carrier, Command, Input, Load, Note, Output, Tally, Told, What};
pub use config::{CarrierConfig, Rule};
pub use listen::{Ear, Heard};
pub use report::{CallReport, Direction, MAX_COMPLAINTS, Outcome, Times};
pub use script::{Script, ScriptError};
