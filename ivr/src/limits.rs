//! Every bound on a program and on its run. Those on a program are checked when it is parsed, so that a machine which
//! runs holds only what fits; each error names the limit.

/// Verbs in one program, those inside `on` included. A longer program is refused when it is parsed.
pub const MAX_VERBS: usize = 256;

/// Depth of gathers inside the `on` of a gather; the outermost verbs are at depth 1. A deeper program is refused when it
/// is parsed.
pub const MAX_DEPTH: usize = 8;

/// Branches in the `on` of one gather. More are refused when the program is parsed.
pub const MAX_BRANCHES: usize = 64;

/// How often a prompt may be repeated by number; beyond it there is only 0, for ever. More is refused when the program
/// is parsed.
pub const MAX_LOOP: u32 = 1_000;

/// Digits in one gather: the greatest `max_digits`, and its value where neither it nor `on` says how many are wanted.
/// The gather ends when they have been pressed.
pub const MAX_GATHER_DIGITS: u32 = 64;

/// Greatest `timeout_s` of a gather, in seconds. More is refused when the program is parsed.
pub const MAX_TIMEOUT_S: u32 = 120;

/// `timeout_s` of a gather that names none, in seconds (the field's de-facto default, TWILIO.md §4.1).
pub const DEFAULT_TIMEOUT_S: u32 = 5;

/// Greatest `attempts` of a gather. More is refused when the program is parsed.
pub const MAX_ATTEMPTS: u32 = 10;

/// Targets of one `bridge`. More are refused when the program is parsed.
pub const MAX_TARGETS: usize = 16;

/// Characters in the address of a `bridge`'s target. A longer one is refused when the program is parsed.
pub const MAX_TARGET_ADDRESS: usize = 255;

/// Greatest `timeout_s` of a `bridge`, in seconds. More is refused when the program is parsed.
pub const MAX_RING_S: u32 = 600;

/// `timeout_s` of a `bridge` that names none, in seconds (the field's de-facto default, TWILIO.md §4.1).
pub const DEFAULT_RING_S: u32 = 30;

/// Digits kept while no gather is open. When they are this many, further ones are dropped and the kept ones stay: what
/// was pressed first is what the caller meant for the next question.
pub const MAX_TYPED_AHEAD: usize = 64;

/// Characters in the name of a prompt. A longer name is refused when it is parsed.
pub const MAX_PROMPT_NAME: usize = 64;
