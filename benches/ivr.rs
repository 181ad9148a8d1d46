//! Many callers in a menu of three levels, pressing keys at random for a minute: does each end where its keys lead, what does
//! a call cost the switch beside one that is only played to, and how long is it from a key to the next prompt?
//!
//!     cargo build --release && cargo bench --bench ivr -- CALLS [SECONDS]      1,000 calls, 60 s
//!
//! Without a number of calls, as where `cargo bench` runs every bench there is, it says so and does nothing.
//!
//! `TANDEM` names the program (default: target/release/tandem). The switch is a process of its own on the first core; the
//! scripted carrier that calls it is in this one, on the others. A call's hearing is compared with the prompts octet for
//! octet.
//!
//! The time from key to prompt is counted from the first packet that says the key's end (RFC 4733 §2.5.1.4; two more like
//! it follow). That packet leaves with the last frame of the tone, on a grid of 20 ms that the script does not know: it is
//! counted from the earliest time at which it can have left, so the figure is too long by up to 20 ms, and never too short.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench reads the clock, starts a process, prints, and stops where it cannot go on"
)]

use base::Rng;
use carrier_sim::net::{Running, Setup};
use carrier_sim::{CallReport, CarrierConfig, Command, Told};
use media::{PortRange, Prompt};
use serde_json::{Value, json};
use sip_core::endpoint::NextHop;
use sip_core::net::Listener;
use sip_core::transport::Transport;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a key leads to at each level.
const KEYS: [char; 3] = ['1', '2', '3'];
/// Calls begun a second.
const RATE: u64 = 50;
/// How long the carrier holds a key, in milliseconds, and how much of that has passed at least when its end is said.
const TONE_MS: u64 = 100;
const END_MS: u64 = TONE_MS - 20;
/// The ports of the switch: below its RTP.
const HTTP: u16 = 9_161;
/// Its SIP port.
const SIP: u16 = 9_160;
/// The port of the carrier.
const CARRIER: u16 = 9_170;

/// Every sound of the menu: noise, no piece of which is like any other.
fn sounds() -> Vec<Arc<Prompt>> {
    let mut names = vec!["m".to_owned()];
    let mut level = vec![String::new()];
    for depth in 1..=KEYS.len() {
        level = level.iter().flat_map(|path| KEYS.map(|key| format!("{path}{key}"))).collect();
        let kind = if depth == KEYS.len() { 'e' } else { 'm' };
        names.extend(level.iter().map(|path| format!("{kind}{path}")));
    }
    let noise = |(nth, name): (usize, String)| {
        let mut rng = Rng::from_u64(nth as u64 + 1);
        let samples: Vec<i16> = (0..16_000).map(|_| (rng.below(12_000) as i32 - 6_000) as i16).collect();
        Arc::new(Prompt::new(name, samples))
    };
    names.into_iter().enumerate().map(noise).collect()
}

/// The question behind these keys, with all that it leads to.
fn menu(path: &str) -> Value {
    if path.len() == KEYS.len() {
        return json!({ "play": format!("e{path}"), "loop": 0 });
    }
    let on: serde_json::Map<_, _> = KEYS.iter().map(|key| (key.to_string(), menu(&format!("{path}{key}")))).collect();
    json!({ "gather": format!("m{path}"), "loop": 0, "max_digits": 1, "timeout_s": 100, "on": on })
}

struct Switch {
    process: Child,
}

impl Switch {
    fn start(dir: &Path, sounds: &[Arc<Prompt>]) -> Self {
        std::fs::create_dir_all(dir.join("prompts")).unwrap();
        for sound in sounds {
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: 8_000,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            };
            let file = dir.join("prompts").join(format!("{}.wav", sound.name()));
            let mut wav = hound::WavWriter::create(file, spec).unwrap();
            sound.samples().iter().for_each(|sample| wav.write_sample(*sample).unwrap());
            wav.finalize().unwrap();
        }
        let number = |number: &str, answer: Value| json!({ "number": number, "tenant": "default", "answer": answer });
        let config = json!({
            "http": { "listen": format!("127.0.0.1:{HTTP}") },
            "database": { "url": "sqlite://tandem.db" },
            "sip": { "listen": [format!("udp://127.0.0.1:{SIP}")] },
            "media": { "ports": "10000-19999" },
            "prompts": { "dir": "prompts" },
            "limits": { "calls_per_second": 10_000, "concurrent_calls": 10_000 },
            "tenant": [{ "name": "default" }],
            "trunk": [{
                "name": "far", "profile": "generic", "uri": format!("sip:127.0.0.1:{CARRIER}"), "max_calls": 10_000,
                "accept_from": ["127.0.0.1/32"], "media_from": ["127.0.0.1/32"],
            }],
            "number": [number("menu", menu("")), number("plain", json!({ "play": "m", "loop": 0 }))],
        });
        std::fs::write(dir.join("tandem.toml"), toml::to_string(&config).unwrap()).unwrap();
        let program = std::env::var("TANDEM").unwrap_or_else(|_| "target/release/tandem".to_owned());
        let program = std::fs::canonicalize(&program).unwrap_or_else(|error| panic!("{program}: {error}"));
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let mut command = std::process::Command::new("taskset");
        command
            .args(["--cpu-list", "0"])
            .arg(program)
            .args(["serve", "--config", "tandem.toml"])
            .current_dir(dir)
            .stdout(Stdio::null())
            .stderr(log);
        let switch = Self { process: command.spawn().unwrap() };
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, HTTP)).is_err() {
            assert!(Instant::now() < until, "the switch is not there: see {}", dir.join("log").display());
            std::thread::sleep(Duration::from_millis(50));
        }
        switch
    }

    /// Milliseconds of CPU that it has had (proc(5): utime and stime, in hundredths of a second).
    fn cpu_ms(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_ascii_whitespace().collect();
        10 * fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>()
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a caller does: its keys, and when each is pressed, in milliseconds from the answer.
#[derive(Clone, Debug, Default)]
struct Plan {
    keys: String,
    at_ms: Vec<u64>,
}

impl Plan {
    fn random(rng: &mut Rng, lasts_ms: u64) -> Self {
        let mut at = 1_000;
        let step = lasts_ms / 5;
        let mut plan = Self::default();
        for _ in 0..KEYS.len() {
            at += step / 2 + rng.below(step);
            plan.keys.push(KEYS[rng.below(KEYS.len() as u64) as usize]);
            plan.at_ms.push(at);
        }
        plan
    }

    fn script(&self, lasts_ms: u64) -> String {
        let presses = self.keys.chars().zip(&self.at_ms).map(|(key, at)| format!("press {key} after {at}ms, "));
        presses.collect::<String>() + &format!("hangup after {lasts_ms}ms")
    }

    /// From each key to the prompt that it leads to, in milliseconds; where one was not heard, why.
    fn latencies(&self, report: &CallReport) -> Result<Vec<f64>, String> {
        let (Some(answered), Some(first)) = (report.times.answered, report.times.first_packet) else {
            return Err("the call was not answered, or nothing was heard".to_owned());
        };
        let began_ms = (first.mono as f64 - answered.mono as f64) / 1e6;
        (1..=self.keys.len())
            .map(|depth| {
                let kind = if depth == self.keys.len() { 'e' } else { 'm' };
                let name = format!("{kind}{}", &self.keys[..depth]);
                let heard = report.heard.iter().find(|heard| heard.prompt == name);
                let heard = heard.ok_or_else(|| format!("{name} was not heard after {}", self.keys))?;
                Ok(began_ms + heard.offset_ms as f64 - (self.at_ms[depth - 1] + END_MS) as f64)
            })
            .collect()
    }

    /// Whether the call heard a prompt to which its keys do not lead.
    fn strays(&self, report: &CallReport) -> bool {
        report.heard.iter().any(|heard| !self.keys.starts_with(heard.prompt.get(1..).unwrap_or_default()))
    }
}

/// Places the calls, and gives back what each saw with the switch's CPU while all of them stood, in milliseconds a second of
/// call.
async fn run(
    carrier: &mut Running,
    switch: &Switch,
    to: &str,
    plans: &[String],
    lasts: Duration,
) -> (Vec<CallReport>, f64) {
    let begin_s = plans.len() as u64 / RATE + 1;
    let began = Instant::now();
    for (nth, script) in plans.iter().enumerate() {
        let due = began + Duration::from_micros(nth as u64 * 1_000_000 / RATE);
        tokio::time::sleep_until(due.into()).await;
        let from = format!("+1666{nth:07}");
        carrier.command(Command::Call { from, to: to.to_owned(), script: script.parse().unwrap() });
    }
    tokio::time::sleep_until((began + Duration::from_secs(begin_s)).into()).await;
    let (cpu, at) = (switch.cpu_ms(), Instant::now());
    let all_stand = lasts.saturating_sub(Duration::from_secs(begin_s + 2));
    tokio::time::sleep(all_stand).await;
    let spent = (switch.cpu_ms() - cpu) as f64 / at.elapsed().as_secs_f64() / plans.len() as f64;
    let mut reports = Vec::new();
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    while reports.len() < plans.len() {
        match tokio::time::timeout_at(until, carrier.told()).await {
            Ok(Some(Told::Report(report))) => reports.push(*report),
            Ok(Some(_)) => {}
            _ => break,
        }
    }
    (reports, spent)
}

/// Leaves the first core to the switch, before any thread is begun.
fn keep_off_the_first_core() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores > 1 {
        let rest = format!("1-{}", cores - 1);
        let own = std::process::id().to_string();
        let moved = std::process::Command::new("taskset").args(["--pid", "--cpu-list", &rest, &own]).output();
        assert!(moved.is_ok_and(|moved| moved.status.success()), "taskset (util-linux) is not there");
    }
}

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let Some(calls) = numbers.first().copied() else {
        return println!("ivr: left out; it wants all cores to itself: cargo bench --bench ivr -- 1000 60");
    };
    keep_off_the_first_core();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(bench(calls, Duration::from_secs(numbers.get(1).copied().unwrap_or(60))));
}

async fn bench(calls: u64, lasts: Duration) {
    let lasts_ms = lasts.as_millis() as u64;
    assert!(calls / RATE + 10 <= lasts.as_secs(), "so many calls take longer to begin than each lasts");
    let dir = tempfile::tempdir().unwrap();
    let sounds = sounds();
    let switch = Switch::start(dir.path(), &sounds);
    let listener = Listener { transport: Transport::Udp, bind: SocketAddr::from((Ipv4Addr::LOCALHOST, CARRIER)) };
    let mut config =
        CarrierConfig::new(Vec::new(), Ipv4Addr::LOCALHOST.into(), PortRange::new(20_000, 29_999).unwrap());
    config.prompts.clone_from(&sounds);
    config.originate_to = Some(NextHop::new("127.0.0.1".to_owned(), Some(SIP), Transport::Udp));
    let mut carrier = Running::start(Setup::at(listener), config, Rng::from_u64(2)).await.unwrap();

    let mut rng = Rng::from_u64(1);
    let plans: Vec<Plan> = (0..calls).map(|_| Plan::random(&mut rng, lasts_ms)).collect();
    let scripts: Vec<String> = plans.iter().map(|plan| plan.script(lasts_ms)).collect();
    let (reports, menu_cpu) = run(&mut carrier, &switch, "menu", &scripts, lasts).await;
    let mut latencies = Vec::new();
    let (mut right, mut faults) = (0, Vec::new());
    for report in &reports {
        let nth: usize = report.from.trim_start_matches("+1666").parse().unwrap();
        match plans[nth].latencies(report) {
            Ok(_) if plans[nth].strays(report) => faults.push(format!("call {nth} heard what its keys do not lead to")),
            Ok(each) => {
                right += 1;
                latencies.extend(each);
            }
            Err(why) => faults.push(format!("call {nth}: {why}")),
        }
    }
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| {
        latencies.get(((latencies.len() as f64 * share) as usize).min(latencies.len().max(1) - 1)).copied()
    };
    println!("{right} of {calls} calls ended where their keys led; {} were reported", reports.len());
    faults.iter().take(5).for_each(|fault| println!("  {fault}"));
    println!(
        "key to prompt, {} keys: p50 {:.0} ms, p99 {:.0} ms, most {:.0} ms",
        latencies.len(),
        at(0.5).unwrap_or_default(),
        at(0.99).unwrap_or_default(),
        at(1.0).unwrap_or_default()
    );
    let script = format!("hangup after {}ms", lasts_ms / 2);
    let plain: Vec<String> = vec![script; calls as usize];
    let half = lasts / 2;
    let (reports, plain_cpu) = if calls / RATE + 5 < half.as_secs() {
        run(&mut carrier, &switch, "plain", &plain, half).await
    } else {
        let script = format!("hangup after {lasts_ms}ms");
        run(&mut carrier, &switch, "plain", &vec![script; calls as usize], lasts).await
    };
    println!(
        "CPU of the switch: {menu_cpu:.3} ms a second of call in the menu, {plain_cpu:.3} played to ({} calls)",
        reports.len()
    );
    carrier.stop(Duration::from_secs(3)).await;
    assert!(right == calls && faults.is_empty(), "not every call ended where its keys led");
}
