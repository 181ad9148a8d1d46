//! A carrier that behaves as a real one does, faults included.

pub mod listen;
pub mod script;

pub use script::{Script, ScriptError};
