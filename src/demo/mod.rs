//! `tandem demo`: the whole product on loopback. A carrier that challenges as Twilio does, the switch with an embedded
//! database, one call by `POST /v1/calls`, and what became of it. It fails where the far end did not hear each prompt
//! sample for sample.

mod report;

use crate::cli::DemoArgs;
use crate::client::Client;
use crate::clock::entropy;
use crate::commands::{Outcome, raise_files};
use crate::config;
use crate::follow::{follow, ladder, say};
use crate::process::Process;
use crate::sounds::SOUNDS;
use carrier_sim::net::{Running, Setup};
use carrier_sim::{CallReport, CarrierConfig, Told};
use serde_json::{Value, json};
use sip_core::net::Listener;
use sip_core::transport::Transport;
use std::io::Stdout;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The number that calls, and owns itself.
const FROM: &str = "+18325550100";
/// The number that is called.
const TO: &str = "+15557654321";
/// What the called party does: rings, answers, listens to the welcome, chooses "two" from the menu, hears the goodbye.
const SCRIPT: &str = "challenge, ring 150ms, early ringback, answer 900ms, press 2 after 5s, wait 30s";
/// How long the carrier's account of the call may take to arrive after the end.
const REPORT_LIMIT: Duration = Duration::from_secs(5);
/// RTP ports of the two ends; a port that somebody else holds is passed over.
const SWITCH_PORTS: &str = "12000-12998";
const CARRIER_PORTS: (u16, u16) = (13_000, 13_998);

/// The program of the demo call.
fn answer() -> Value {
    json!([
        { "play": "welcome" },
        { "gather": "menu", "max_digits": 1, "timeout_s": 5, "on": { "2": { "play": "goodbye" }, "other": { "play": "sorry" } } }
    ])
}

/// Runs the demo.
pub async fn demo(args: DemoArgs) -> Outcome {
    raise_files();
    let mut out = std::io::stdout();
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
    let state = State::make()?;
    let secret = entropy()?.token(40);
    say(&mut out, "carrier: starting; it challenges with 407 as Twilio does");
    let mut running = start_carrier(&secret).await?;
    let listening = running.locals().first().map(|local| local.bound).ok_or("the carrier listens nowhere")?;
    say(&mut out, "switch:  starting with an embedded database");
    let key = entropy()?.token(40);
    let config = configuration(&state.0, &key, &secret, listening)?;
    let process = Process::start(&config).await?;
    let url = format!("http://{}", process.http);
    let client = Client::new(&url, &key)?;
    say(
        &mut out,
        &format!("         HTTP on {}, SIP on {}, the carrier on {}\n", process.http, process.sip[0].1, listening),
    );
    say(&mut out, "POST /v1/calls");
    let made = client.post("/v1/calls", &json!({ "from": FROM, "to": TO, "answer": answer() })).await?;
    let sid = made["sid"].as_str().unwrap_or_default().to_owned();
    say(&mut out, &format!("  201 {sid}"));
    let ended = follow(&client, &sid, &mut out).await?;
    let heard = tokio::time::timeout(REPORT_LIMIT, report_of(&mut running)).await;
    let heard = heard.ok().flatten().ok_or("the carrier gave no account of the call")?;
    let verdict = show(&client, &sid, &ended, &heard, &args.out, &mut out).await;
    if args.keep && verdict.is_ok() {
        keep(&url, &key, &mut out).await?;
    }
    process.stop().await;
    running.stop(REPORT_LIMIT).await;
    verdict
}

async fn show(client: &Client, sid: &str, ended: &Value, heard: &CallReport, dir: &Path, out: &mut Stdout) -> Outcome {
    say(out, "\nSIP");
    ladder(client, sid, out).await?;
    say(out, "\nCDR");
    report::cdr(ended, out);
    say(out, "\nQuality");
    report::quality(ended, out);
    say(out, "\nWhat the far end heard");
    report::heard(heard, dir, out)?;
    report::verdict(ended, heard)
}

/// Goes on serving until Ctrl-C.
async fn keep(url: &str, key: &str, out: &mut Stdout) -> Outcome {
    let body = json!({ "from": FROM, "to": TO, "answer": answer() });
    say(out, "\nStill serving; Ctrl-C ends it. The next call:\n");
    say(
        out,
        &format!(
            "curl -sS {url}/v1/calls -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{body}'"
        ),
    );
    tokio::signal::ctrl_c().await?;
    Ok(())
}

/// Every built-in prompt, decoded: what the carrier may say and can recognise.
pub fn built_in() -> Result<Vec<Arc<media::Prompt>>, media::PromptError> {
    SOUNDS.iter().map(|(name, wav)| media::prompt::decode(name, wav, "wav").map(Arc::new)).collect()
}

/// The carrier's account of the next call that ends.
async fn report_of(running: &mut Running) -> Option<Box<CallReport>> {
    loop {
        if let Told::Report(report) = running.told().await? {
            return Some(report);
        }
    }
}

async fn start_carrier(secret: &str) -> Result<Running, Box<dyn std::error::Error + Send + Sync>> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let ports = media::PortRange::new(CARRIER_PORTS.0, CARRIER_PORTS.1)?;
    let mut config = CarrierConfig::new(Vec::new(), loopback, ports);
    config.twilio = true;
    config.keeps_captures = true;
    config.script = SCRIPT.parse()?;
    config.prompts = built_in()?;
    config.credentials = Some(sip_core::auth::Credentials {
        username: "demo".to_owned(),
        password: secret.into(),
        realm: Some(carrier_sim::config::TWILIO_REALM.to_owned()),
    });
    let listener = Listener { transport: Transport::Udp, bind: (loopback, 0).into() };
    Ok(Running::start(Setup::at(listener), config, entropy()?).await?)
}

/// The demo's configuration is read as any other, from a text.
fn configuration(
    dir: &Path,
    key: &str,
    secret: &str,
    carrier: SocketAddr,
) -> Result<config::Config, config::ConfigError> {
    let text = format!(
        r#"
        [http]
        listen = "127.0.0.1:0"
        [api]
        bootstrap_key = "{key}"
        [database]
        url = "sqlite://{dir}/tandem.db"
        [journal]
        dir = "{dir}/journal"
        [recordings]
        dir = "{dir}/recordings"
        [sip]
        listen = ["udp://127.0.0.1:0"]
        [media]
        ports = "{SWITCH_PORTS}"
        [[trunk]]
        name = "twilio"
        profile = "twilio"
        uri = "sip:localhost:{port}"
        username = "demo"
        password = "{secret}"
        accept_from = ["127.0.0.0/8"]
        media_from = ["127.0.0.0/8"]
        [[number]]
        number = "{FROM}"
        answer = {{ play = "welcome" }}
        "#,
        dir = dir.display(),
        port = carrier.port(),
    );
    config::parse("demo", &text, std::iter::empty())
}

/// The folder of the demo's database and journal, gone with the demo.
struct State(PathBuf);

impl State {
    fn make() -> std::io::Result<Self> {
        let dir = std::env::temp_dir().join(format!("tandem-demo-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, "the demo's folder stays");
        }
    }
}
