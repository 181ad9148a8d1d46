//! A carrier that behaves as a real one does, faults included.

pub mod listen;
pub mod script;
pub mod virtual_network;

pub use script::{Script, ScriptError};
