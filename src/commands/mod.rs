//! What each command of the command line does.

mod backup;
mod call;
mod carrier;
mod check;
mod key;
pub mod load;
mod probe;
mod serve;
mod status;

pub use backup::{backup, restore};
pub use call::call;
pub use carrier::carrier;
pub use check::check;
pub use key::create_key;
pub use serve::{raise_files, serve};
pub use status::status;

/// How a command ends: an error is said on standard error, and the exit code is 1.
pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// The configuration of a file and the environment.
fn load(path: &std::path::Path) -> Result<crate::config::Config, crate::config::ConfigError> {
    crate::config::load(path, std::env::vars())
}
