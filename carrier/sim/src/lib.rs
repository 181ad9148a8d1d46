//! A carrier that behaves as a real one does, faults included.

pub mod script;

pub use script::{Script, ScriptError};
