//! What a caller hears and presses: call programs as pure machines (DESIGN.md §5, "What an answered call does").
//!
//! | module | what it is |
//! |---|---|
//! | [`limits`] | every bound on a program and on its run, named |
//! | `prompt` | [`PromptName`]: how a prompt is named |
//! | `answer` | [`Answer`]: a validated program, from and to JSON; its errors carry a path |
//! | `program` | [`Program`]: the machine that runs one, on [`Input`] and [`Output`] values |
//!
//! This crate has never heard of RTP, SIP, files or HTTP: it names a prompt and says when to play it. It may not hold a
//! clock, a socket or a task; time comes in as [`base::Now`], and the machine says when it wants to be woken.

mod answer;
mod fuzz;
pub mod limits;
mod program;
mod prompt;

pub use answer::{Answer, AnswerError, Branches, Bridge, Gather, Mode, Play, RINGBACK, Target, Verb};
#[doc(hidden)]
pub use fuzz::fuzz;
pub use program::{BridgeId, GatherReason, Gathered, Input, Next, Output, PlayId, Program};
pub use prompt::{PromptName, PromptNameError};
