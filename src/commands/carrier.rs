//! `tandem carrier`: the scripted carrier by itself, until Ctrl-C.

use super::Outcome;
use crate::cli::CarrierArgs;
use crate::clock::entropy;
use crate::commands::raise_files;
use crate::demo::built_in;
use carrier_sim::net::{Running, Setup};
use carrier_sim::{CarrierConfig, Rule, Told};
use sip_core::auth::Credentials;
use sip_core::net::Listener;
use sip_core::transport::Transport;
use std::io::Write;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How long calls may take to end once it is told to stop.
const PATIENCE: Duration = Duration::from_secs(3);

/// Runs the carrier until a signal, and tells what becomes of each call.
pub async fn carrier(args: CarrierArgs) -> Outcome {
    raise_files();
    let setup = Setup::at(Listener { transport: Transport::Udp, bind: args.listen });
    let json = args.json;
    let mut running = Running::start(setup, config(args)?, entropy()?).await?;
    let mut out = std::io::stdout();
    for local in running.locals() {
        eprintln!("carrier on {} {}", local.transport, local.bound);
    }
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            told = running.told() => match told {
                Some(told) => tell(&told, json, &mut out)?,
                None => return Err("the carrier has ended".into()),
            },
            _ = term.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    for told in running.stop(PATIENCE).await {
        tell(&told, json, &mut out)?;
    }
    Ok(())
}

fn config(args: CarrierArgs) -> Result<CarrierConfig, Box<dyn std::error::Error + Send + Sync>> {
    let ports = args.ports.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    let (first, last) = ports.ok_or("--ports: write the first and the last, like 22000-31998")?;
    let mut config = CarrierConfig::new(Vec::new(), args.listen.ip(), media::PortRange::new(first, last)?);
    config.twilio = args.twilio;
    config.prompts = built_in()?;
    if let Some(script) = &args.script {
        config.script = script.parse()?;
    }
    for rule in &args.numbers {
        let (number, script) = rule.split_once('=').ok_or("--number: write NUMBER=SCRIPT, like \"*99=busy\"")?;
        config.by_number.push(Rule { number: number.to_owned(), script: script.parse()? });
    }
    if let (Some(username), Some(password)) = (args.username, args.password) {
        let realm = Some(carrier_sim::config::TWILIO_REALM.to_owned());
        config.credentials = Some(Credentials { username, password: password.into(), realm });
    }
    match config.missing_prompt() {
        Some(name) => Err(format!("a script says \"{name}\", and there is no such prompt").into()),
        None => Ok(config),
    }
}

fn tell(told: &Told, json: bool, out: &mut impl Write) -> Outcome {
    match told {
        Told::Report(report) if json => writeln!(out, "{}", serde_json::to_string(report)?)?,
        Told::Report(report) => {
            let heard: Vec<String> = report
                .heard
                .iter()
                .map(|heard| format!("{}{}", heard.prompt, if heard.exact { "" } else { " (not whole)" }))
                .collect();
            let heard = if heard.is_empty() { "nothing it knows".to_owned() } else { heard.join(", ") };
            writeln!(
                out,
                "{} → {}: {:?}, heard {heard}, keys \"{}\"",
                report.from, report.to, report.outcome, report.digits
            )?;
        }
        Told::Note(note) if !json => writeln!(out, "  {} {}", note.call_id, note.what)?,
        Told::Note(_) => {}
    }
    out.flush()?;
    Ok(())
}
