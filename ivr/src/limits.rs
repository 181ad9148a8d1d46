//! Every bound on a program and on its run. Those on a program are checked when it is parsed, so that a machine which
//! runs holds only what fits; each error names the limit.

/// Verbs in one program, those inside `on` included; also the verbs and nested verbs of one TwiML document. A longer
/// one is refused when it is parsed.
pub const MAX_VERBS: usize = 256;

/// Depth of gathers inside the `on` of a gather; the outermost verbs are at depth 1. A deeper program is refused when it
/// is parsed.
pub const MAX_DEPTH: usize = 8;

/// Branches in the `on` of one gather. More are refused when the program is parsed.
pub const MAX_BRANCHES: usize = 64;

/// How often a prompt may be repeated by number; beyond it there is only 0, for ever. More is refused when the program
/// is parsed.
pub const MAX_LOOP: u32 = 1_000;

/// Prompts nested in one gather. More are refused when the program is parsed.
pub const MAX_PROMPTS: usize = 32;

/// Digits in one gather: the greatest `max_digits`, and its value where neither it nor `on` says how many are wanted.
/// The gather ends when they have been pressed.
pub const MAX_GATHER_DIGITS: u32 = 64;

/// Greatest `timeout_s` of a gather, in seconds. More is refused when the program is parsed.
pub const MAX_TIMEOUT_S: u32 = 120;

/// Greatest `timeout` of a TwiML Gather or Record, in seconds. What is greater is this, with a warning.
pub const MAX_TWIML_TIMEOUT_S: u32 = 600;

/// `timeout_s` of a gather or a recording that names none, in seconds (the field's de-facto default, TWILIO.md §4.1).
pub const DEFAULT_TIMEOUT_S: u32 = 5;

/// Greatest `attempts` of a gather. More is refused when the program is parsed.
pub const MAX_ATTEMPTS: u32 = 10;

/// Targets of one `bridge`. More are refused when the program is parsed.
pub const MAX_TARGETS: usize = 16;

/// Nouns of one TwiML Dial that ring (TWILIO.md §4.3, 8). Those after them are left out, with a warning.
pub const MAX_NOUNS: usize = 10;

/// Characters in the address of a `bridge`'s target. A longer one is refused when the program is parsed.
pub const MAX_TARGET_ADDRESS: usize = 255;

/// Characters of the headers behind a SIP URI's `?` (TWILIO.md §4.1). A target with more is left out, with a warning.
pub const MAX_SIP_HEADERS: usize = 1_024;

/// Greatest `timeout_s` of a `bridge`, in seconds. More is refused when the program is parsed.
pub const MAX_RING_S: u32 = 600;

/// `timeout_s` of a `bridge` that names none, in seconds (the field's de-facto default, TWILIO.md §4.1).
pub const DEFAULT_RING_S: u32 = 30;

/// Greatest time limit of a bridge or a conference, and greatest length of a recording, in seconds: a day. More is
/// refused when the program is parsed.
pub const MAX_TALK_S: u32 = 86_400;

/// Time limit of a TwiML Dial that names none, in seconds (TWILIO.md §4.1).
pub const DEFAULT_DIAL_LIMIT_S: u32 = 14_400;

/// Greatest length of a recording that names none, in seconds (TWILIO.md §4.1).
pub const DEFAULT_RECORD_S: u32 = 3_600;

/// The same where it is to be transcribed (TWILIO.md §4.1).
pub const DEFAULT_TRANSCRIBED_S: u32 = 120;

/// Greatest `pause`, in seconds. More is refused when the program is parsed.
pub const MAX_PAUSE_S: u32 = 3_600;

/// Characters in one `say` (TWILIO.md §4.1). A longer one is refused in JSON and cut, with a warning, in TwiML.
pub const MAX_SAY: usize = 4_096;

/// Characters in one string of keys to be sent. A longer one is refused.
pub const MAX_SENT_DIGITS: usize = 128;

/// Characters in a voice, a language, a label, a conference's name, a header's value and whatever else is a word. A
/// longer one is refused in JSON and left out, with a warning, in TwiML.
pub const MAX_WORD: usize = 256;

/// Characters in a URL. A longer one is no URL.
pub const MAX_URL: usize = 4_096;

/// Members of a conference that names no number (TWILIO.md §4.1), and the greatest such number.
pub const MAX_MEMBERS: u32 = 250;

/// Digits kept while no gather is open. When they are this many, further ones are dropped and the kept ones stay: what
/// was pressed first is what the caller meant for the next question.
pub const MAX_TYPED_AHEAD: usize = 64;

/// Characters in the name of a prompt. A longer name is refused when it is parsed.
pub const MAX_PROMPT_NAME: usize = 64;

/// Bytes of a document (TWILIO.md §3.4). A longer body is a failed document; whoever fetches may stop one byte later.
pub const MAX_BODY: usize = 64 * 1024;

/// Depth of elements in a TwiML document. A deeper one is refused: nothing in the vocabulary nests this deep.
pub const MAX_XML_DEPTH: usize = 32;

/// Warnings that one document gives. Those after them are counted in the last.
pub const MAX_WARNINGS: usize = 32;

/// Documents that one call fetches or begins anew, and requests of its flows. After them the call is told of an
/// application error and ended.
pub const MAX_DOCUMENTS: u32 = 1_000;

/// Requests that flows make when the caller has gone, to tell of a message or a transfer. After them the program is
/// over.
pub const MAX_AFTERWARDS: u32 = 10;

/// Documents in a row of which none has lasted a second. After them the call is told of an application error and ended:
/// they redirect to one another.
pub const MAX_HURRIED: u32 = 20;

/// HTTP redirections in one fetch. The next is a failure.
pub const MAX_HTTP_REDIRECTS: u32 = 5;

/// Verbs and states of flows that one call runs. After them it is told of an application error and ended.
pub const MAX_STEPS: u32 = 20_000;

/// States of a flow that run one after the other without a second of the caller's time, or anything he enters, between
/// them. After them the call is told of an application error and ended: they go round in a circle.
pub const MAX_HURRIED_STATES: u32 = 200;

/// Those among them that reach others: web requests, transfers, recordings, conferences, flows in flows. After them the
/// call ends likewise: a flow that goes round through its own web request asks no oftener than this.
pub const MAX_HURRIED_ERRANDS: u32 = 20;

/// Branches, flows and what was put in between that are open in one program at once. Beyond it nothing more is put in
/// between; what a program itself may nest ([`MAX_DEPTH`], [`MAX_FLOW_DEPTH`]) stays below it.
pub const MAX_FRAMES: usize = 128;

/// How long the machine waits, after it has asked for the end of something or the caller has gone, for the report of how
/// it ended, in seconds. Then it goes on with what it knows.
pub const SETTLE_S: u64 = 10;

/// How much longer than a request's own time the machine waits for its result, in seconds. Then it has failed.
pub const FETCH_GRACE_S: u64 = 5;

/// Longest that somebody speaks into a gather which does not say so, in seconds.
pub const MAX_SPEECH_S: u32 = 60;

/// Bytes of what a caller has said, as a recogniser writes it down. The rest is cut.
pub const MAX_TRANSCRIPT: usize = 8 * 1024;

/// Bytes of a flow's document. A longer one is refused.
pub const MAX_FLOW: usize = 256 * 1024;

/// States of a flow. More are refused.
pub const MAX_STATES: usize = 500;

/// Texts that may be said for one choice of a flow's menu. More are refused.
pub const MAX_PHRASES: usize = 16;

/// Variables of a flow, and of those that it is begun with. More are refused when they are read.
pub const MAX_VARIABLES: usize = 64;

/// Bytes of a text made from a template. The rest is cut.
pub const MAX_VALUE: usize = 8 * 1024;

/// Depth of flows in flows. A deeper one is an application error.
pub const MAX_FLOW_DEPTH: usize = 8;

/// Errors of a flow that are told at once. Those after them are counted in the last.
pub const MAX_FLOW_ERRORS: usize = 100;
