//! What this crate's own tests share.

pub mod calls;
pub mod store;
