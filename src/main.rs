//! `tandem`: a SIP/RTP softswitch in one binary. This is the command line; what it starts stands in the files beside it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks to its terminal")]

mod catch_up;
mod cli;
mod client;
mod clock;
mod commands;
mod config;
mod demo;
mod follow;
mod log;
mod overload;
mod process;
mod rim;
mod signalling;
mod sounds;
mod tap;

use clap::Parser;
use cli::{Cli, Command, KeyCommand};
use std::process::ExitCode;

/// One thread's frees serve the next one's calls: what signalling makes, the journal, the shards and the projector let go.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A third of the weight of a thread that is not nice.
const NICENESS: i32 = 5;

/// Threads of the runtime at least, on however few cores: while one makes rows out of a batch of the journal, for some ten
/// milliseconds, the other answers HTTP.
const WORKERS: usize = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = match &cli.command {
        Command::Serve(_) => "info",
        _ => "warn",
    };
    log::start(level);
    // The one TLS provider; an error means that it stands already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Command::Serve(_) = &cli.command {
        let cores = std::thread::available_parallelism().map_or(WORKERS, std::num::NonZero::get);
        runtime.worker_threads(cores.max(WORKERS)).on_thread_start(come_after_calls);
        take_small_pages();
    }
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tandem: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli.command)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tandem: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Where they share a core, signalling and media come before what the runtime's threads do, the projector and SQLite's own
/// thread among it: a batch of rows lasts for tens of milliseconds, and no call is to wait for it.
fn come_after_calls() {
    // One's own niceness may always be raised; where it is not, calls wait a little.
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// No huge pages: the first touch of one clears 2 MB, for milliseconds in a virtual machine, and the call at hand waits for
/// it. Memory is less by a quarter, and what calls cost is the same.
fn take_small_pages() {
    // Where the system has no such word, it has no such pages.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

async fn run(command: Command) -> Result<ExitCode, Box<dyn std::error::Error + Send + Sync>> {
    match command {
        Command::Load(args) => return commands::load::run(&args).await,
        Command::Demo(args) => demo::demo(args).await,
        Command::Serve(args) => commands::serve(&args.config).await,
        Command::Check(args) => commands::check(&args).await,
        Command::Key(KeyCommand::Create { config, tenant, scopes }) => {
            commands::create_key(&config, &tenant, &scopes).await
        }
        Command::Backup(args) => commands::backup(&args.config, &args.to).await,
        Command::Restore(args) => commands::restore(&args.config, &args.from),
        Command::Call(args) => commands::call(args).await,
        Command::Status(api) => commands::status(api).await,
        Command::Carrier(args) => commands::carrier(args).await,
    }?;
    Ok(ExitCode::SUCCESS)
}
