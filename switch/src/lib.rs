//! Call control: what a call is, who ends it, and the one account of what happened.
//!
//! [`Switch`] composes the SIP user agent, the media engine's commands, the call programs and the trunks behind
//! `handle(input, now)` and `poll()` (DESIGN.md §2). It owns every call; API resources, CDRs and webhooks project
//! its [`Record`]s and keep no state of their own. It holds no socket, clock, thread, channel or random source.

mod book;
mod call;
mod cause;
mod cdr;
mod command;
mod config;
mod desk;
mod door;
mod ending;
mod errand;
mod io;
mod letter;
mod provision;
mod record;
mod refusal;
pub mod registrar;
mod route;
mod sid;
mod switch;
mod tally;
mod trunk;
mod view;

pub use call::room::{BEEP, BEEP_TONE, HOLD_MUSIC};
pub use call::telling::Progression;
pub use cause::{Cause, Origin};
pub use cdr::{Cdr, StreamQuality, Timestamps};
pub use command::{Command, EndAs, MemberChange, Originate, RecordOrder, RoomOrder, Steer, Wishes};
pub use config::{Config, MediaAddress, Number};
pub use errand::{Asked, Brought, Errand, Heard, Utterance};
pub use io::{Input, Output};
pub use ivr::MachineDetection;
pub use provision::{Provisioned, Provisioning, Tenant, TenantLimits};
pub use record::{Admission, CallbackForm, Direction, Fact, GatherEnd, Owed, Record, StatusCallback};
pub use sid::{CallSid, InvalidSid};
pub use switch::{ConfigError, Load, MAX_PROMPTS, Switch};
pub use tally::Usage;
pub use trunk::{TrunkState, TrunkStatus};
pub use view::{CallView, Engaged, MemberView, Status};
