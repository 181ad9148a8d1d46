//! Typed headers, one a file, read from a header value on demand (RFC 3261 §20).
//!
//! Each has a `parse` that takes one value on one line and never panics, and a `Display` that writes valid text whatever
//! the value holds. Digest challenges and credentials are not here but in [`crate::auth`]; [`params::auth_params`] cuts
//! them up.

mod content_type;
mod cseq;
pub mod date;
mod name_addr;
pub mod params;
mod rack;
mod replaces;
pub mod scan;
mod session_expires;
mod via;
mod warning;

pub use content_type::ContentType;
pub use cseq::CSeq;
pub use name_addr::NameAddr;
pub use params::Params;
pub use rack::{RAck, reliable};
pub use replaces::Replaces;
pub use session_expires::{Refresher, SessionExpires, min_se};
pub use via::{MAGIC_COOKIE, Via};
pub use warning::Warning;
