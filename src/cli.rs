//! The command line (DESIGN.md §5).

use crate::commands::load::LoadArgs;
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A SIP/RTP softswitch in one binary.
#[derive(Debug, Parser)]
#[command(name = "tandem", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What it can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole product on loopback with nothing installed: one real call, from POST to CDR
    Demo(DemoArgs),
    /// The switch
    Serve(ConfigArg),
    /// Validate all of the configuration and print what it would bind and dial
    Check(CheckArgs),
    /// API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Copy the journal, the database (SQLite) and the key file into a new folder, also while the switch runs
    Backup(BackupArgs),
    /// Put such a copy back, where there is nothing yet
    Restore(RestoreArgs),
    /// One call through a running switch's API, followed live
    Call(CallArgs),
    /// Trunks, calls and health of a running switch
    Status(Api),
    /// The loopback carrier by itself, its behaviour selectable
    Carrier(CarrierArgs),
    /// Calls at any SIP target: so many a second or so many at once, and what became of them
    Load(Box<LoadArgs>),
}

/// Which configuration.
#[derive(Debug, Args)]
pub struct ConfigArg {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "tandem.toml")]
    pub config: PathBuf,
}

/// `tandem check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "tandem.toml")]
    pub config: PathBuf,
    /// Ask each trunk too, by OPTIONS and, where it registers, by REGISTER; no call is made
    #[arg(long)]
    pub probe: bool,
}

/// `tandem backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The configuration file: it says where everything is
    #[arg(long, value_name = "FILE", default_value = "tandem.toml")]
    pub config: PathBuf,
    /// The folder, which is made
    #[arg(value_name = "DIR")]
    pub to: PathBuf,
}

/// `tandem restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The configuration file: it says where everything goes
    #[arg(long, value_name = "FILE", default_value = "tandem.toml")]
    pub config: PathBuf,
    /// The folder that `tandem backup` made
    #[arg(value_name = "DIR")]
    pub from: PathBuf,
}

/// `tandem demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Go on serving after the call, and print a line that places the next one
    #[arg(long)]
    pub keep: bool,
    /// Where the recording and the database go
    #[arg(long, value_name = "DIR", default_value = "demo-out")]
    pub out: PathBuf,
}

/// `tandem key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make an API key; it is shown once
    Create {
        /// The configuration file
        #[arg(long, value_name = "FILE", default_value = "tandem.toml")]
        config: PathBuf,
        /// Whose key
        #[arg(long)]
        tenant: String,
        /// What it may do: read, calls, admin, operator (may be given more than once)
        #[arg(long = "scope", required = true, value_name = "SCOPE")]
        scopes: Vec<String>,
    },
}

/// Where a running switch is reached.
#[derive(Debug, Clone, Args)]
pub struct Api {
    /// The switch's HTTP address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000", env = "TANDEM_URL")]
    pub url: String,
    /// An API key
    #[arg(long, value_name = "KEY", env = "TANDEM_KEY", hide_env_values = true)]
    pub key: String,
}

/// `tandem call`.
#[derive(Debug, Args)]
pub struct CallArgs {
    /// Caller ID, E.164
    pub from: String,
    /// Whom to call, E.164
    pub to: String,
    /// The prompt to play
    #[arg(long, value_name = "PROMPT", conflicts_with = "answer")]
    pub play: Option<String>,
    /// What to do when it is answered, as JSON: {"play": "welcome"}
    #[arg(long, value_name = "JSON")]
    pub answer: Option<String>,
    /// Only by this trunk
    #[arg(long)]
    pub trunk: Option<String>,
    /// The switch
    #[command(flatten)]
    pub api: Api,
}

/// `tandem carrier`.
#[derive(Debug, Args)]
pub struct CarrierArgs {
    /// Where to listen for SIP over UDP
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5080")]
    pub listen: SocketAddr,
    /// First and last RTP port
    #[arg(long, value_name = "FROM-TO", default_value = "22000-31998")]
    pub ports: String,
    /// What a call meets, e.g. "challenge, ring 200ms, answer 500ms, say welcome, press 1 after 2s, hangup after 8s"
    #[arg(long, value_name = "SCRIPT")]
    pub script: Option<String>,
    /// What calls to a number (or, with a leading *, to numbers that end so) meet: NUMBER=SCRIPT (may be given more than once)
    #[arg(long = "number", value_name = "NUMBER=SCRIPT")]
    pub numbers: Vec<String>,
    /// The user name that is asked for in a 407
    #[arg(long, requires = "password")]
    pub username: Option<String>,
    /// Its password
    #[arg(long, requires = "username", env = "TANDEM_CARRIER_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// Twilio's manners: double Record-Route, a private Contact, X-Twilio-CallSid
    #[arg(long)]
    pub twilio: bool,
    /// Print one JSON line a call, and nothing else
    #[arg(long)]
    pub json: bool,
}
