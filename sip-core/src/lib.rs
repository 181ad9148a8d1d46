//! SIP (RFC 3261 and what grew around it) as plain values.
//!
//! Strata, lowest first; each imports only those above it in this list:
//!
//! | module | what it is |
//! |---|---|
//! | [`message`] | the wire: a lazy, zero-copy parser and a strict writer |
//! | [`uri`], [`header`] | SIP/SIPS/`tel:` URIs and the typed headers, parsed on demand |
//! | [`sdp`] | session descriptions and offer/answer for audio (RFC 3264) |
//! | [`auth`] | digest, as client and server (RFC 7616, 8760) |
//! | [`transport`] | addresses, flows, and framing on streams (RFC 3261 §18) |
//! | [`transaction`] | the four transactions as pure state machines (RFC 3261 §17, RFC 6026) |
//! | [`dialog`] | dialogs and route sets (RFC 3261 §12) |
//! | [`endpoint`] | the user agent core: all of the above behind `handle(input, now)` and `poll()` |
//! | `net` | the rim: UDP, TCP and TLS sockets and DNS (feature `net`) |
//!
//! Nothing outside `net` may hold a socket, a clock, a task, a channel or a random source.

pub mod auth;
pub mod dialog;
pub mod endpoint;
pub mod header;
pub mod message;
#[cfg(feature = "net")]
pub mod net;
pub mod sdp;
pub mod transaction;
pub mod transport;
pub mod uri;
