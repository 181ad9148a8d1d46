//! What a caller hears and presses: call programs as pure machines (DESIGN.md §5, "What an answered call does").
//!
//! | module | what it is |
//! |---|---|
//! | [`limits`] | every bound on a program and on its run, named |
//! | `prompt` | [`PromptName`]: how a prompt is named |
//! | `answer` | [`Answer`]: a validated program, from and to JSON; its errors carry a path |
//! | `twiml` | [`twiml::compile`]: a TwiML document to the same verbs; its errors carry line and column |
//! | `flow` | [`Flow`]: a validated document of states; all its errors carry paths |
//! | `program` | [`Program`]: the machine that runs all of them, on [`Input`] and [`Output`] values |
//! | `http` | [`HttpRequest`], [`Response`]: what is fetched, as values |
//! | `signature` | [`signature()`]: `X-Twilio-Signature` |
//! | [`callbacks`] | what others are told of a call, in Twilio's parameters |
//! | [`mod@simulate`] | [`simulate()`]: a flow and a script of a caller to a transcript, without a call |
//!
//! This crate has never heard of RTP, SIP, files or sockets: it names a prompt, a URL, a number, and says when. It may
//! not hold a clock, a socket or a task; time comes in as [`base::Now`], and the machine says when it wants to be woken.

mod answer;
pub mod callbacks;
mod context;
mod flow;
mod fuzz;
mod http;
pub mod limits;
mod program;
mod prompt;
mod signature;
pub mod simulate;
pub mod twiml;

pub use answer::{
    Action, Answer, AnswerError, Beep, Branches, Bridge, CallFlow, Callback, Conference, ConferenceOptions, Fetch,
    Gather, Inline, Link, MachineDetection, Mode, Play, RINGBACK, Record, RecordCall, RecordFrom, RecordOptions, Refer,
    Say, Sound, Speech, Target, Then, Verb, Wait, are_sent,
};
pub use context::{CallContext, Direction, Quirks};
pub use flow::{Flow, FlowError, VOICEMAIL};
#[doc(hidden)]
pub use fuzz::{fuzz, fuzz_flow, fuzz_twiml};
pub use http::{Body, FetchFault, HttpRequest, Method, Params, Response, Timeouts};
pub use program::{
    BridgeEnd, BridgeId, BridgeStatus, ConferenceEnd, ConferenceId, FetchId, GatherReason, Gathered, Input, ListenId,
    Next, NotNow, Output, PlayId, Program, RecordId, Recording, ReferEnd, ReferId, Warning,
};
pub use prompt::{PromptName, PromptNameError};
pub use signature::signature;
pub use simulate::simulate;
