//! `tandem load` as a process: against `tandem carrier` and against SIPp's own callee, whose counts must agree with its
//! own; its thresholds, its end by a signal, and what it says to a command line that cannot be.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it cannot go on")]

mod common;

use common::carrier::Carrier;
use common::ports::Ports;
use common::process::{Process, udp_port_is_bound};
use common::switch::{OWNED, Setup, tandem};
use common::{secs, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Calls of the large tests.
const CALLS: u64 = 500;

/// A load that has ended.
struct Loaded {
    code: Option<i32>,
    json: Value,
    printed: String,
}

/// Runs `tandem load TARGET ARGS --json …` to its end.
#[track_caller]
fn load(dir: &Path, target: &str, args: &[&str]) -> Loaded {
    let mut process = started(dir, target, args);
    ended(dir, &mut process)
}

fn started(dir: &Path, target: &str, args: &[&str]) -> Process {
    let arguments = |command: &mut Command| _ = command.args(["load", target, "--json", "load.json"]).args(args);
    tandem("load", dir, arguments)
}

#[track_caller]
fn ended(dir: &Path, process: &mut Process) -> Loaded {
    let code = process.end(secs(120)).code();
    let json = std::fs::read(dir.join("load.json")).ok().map(|text| serde_json::from_slice(&text).unwrap());
    Loaded { code, json: json.unwrap_or_default(), printed: process.output() }
}

impl Loaded {
    #[track_caller]
    fn count(&self, name: &str) -> u64 {
        self.json["counts"][name].as_u64().unwrap_or_else(|| panic!("{name} in {:#}", self.json))
    }
}

/// The carrier's report of each call.
#[track_caller]
fn reports(carrier: &Carrier, calls: u64) -> Vec<Value> {
    until("the carrier's report of every call", secs(40), || {
        let output = carrier.process.output();
        let reports: Vec<Value> = output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        (reports.len() as u64 == calls).then_some(reports)
    })
}

#[test]
fn five_hundred_calls_are_what_the_carrier_counts_too() {
    let (dir, mut ports) = (tempfile::tempdir().unwrap(), Ports::lease_at_least(2_000));
    let carrier = Carrier::start(
        dir.path(),
        &mut ports,
        800,
        "challenge, ring, answer 50ms",
        &["--username", "load", "--password", "Correct-Horse-7"],
    );
    let target = format!("sip:nobody@127.0.0.1:{}", carrier.port);
    let (calls, pid) = (CALLS.to_string(), carrier.process.id().to_string());
    let loaded = load(
        dir.path(),
        &target,
        &[
            "--calls",
            &calls,
            "--rate",
            "100",
            "--to",
            "+1555%7n",
            "--hold",
            "100ms",
            "--username",
            "load",
            "--password",
            "Correct-Horse-7",
            "--pid",
            &pid,
            "--shards",
            "2",
            "--max-failures",
            "0",
        ],
    );
    assert_eq!(loaded.code, Some(0), "{}", loaded.printed);
    for name in ["due", "started", "answered", "hung_up", "challenged"] {
        assert_eq!(loaded.count(name), CALLS, "{name}");
    }
    let reports = reports(&carrier, CALLS);
    assert!(reports.iter().all(|report| report["outcome"] == "EndedByPeer"), "{:#}", reports[0]);
    let called: BTreeSet<_> = reports.iter().map(|report| report["to"].to_string()).collect();
    assert_eq!(called.len() as u64, CALLS);
    assert_eq!(loaded.json["schema"], "tandem-load/1");
    for stage in ["ringing", "answer", "hang_up"] {
        assert_eq!(loaded.json["latency"][stage]["count"], CALLS, "{stage}");
    }
    assert!(loaded.json["latency"]["answer"]["p50_ms"].as_f64() > Some(50.0), "{:#}", loaded.json["latency"]);
    let process = &loaded.json["processes"][0];
    assert_eq!(process["pid"], carrier.process.id());
    assert!(process["cpu_s"].as_f64() > Some(0.0) && process["rss_bytes"].as_u64() > Some(1 << 20), "{process:#}");
    let seconds = loaded.json["per_second"].as_array().unwrap();
    let answered: u64 = seconds.iter().map(|second| second["answered"].as_u64().unwrap()).sum();
    assert_eq!(answered, CALLS);
    assert!(loaded.printed.contains("INVITE → 200"), "{}", loaded.printed);
}

/// What SIPp says in its statistics (`-trace_stat`): the last line's value of a column.
fn statistic(csv: &str, column: &str) -> Option<u64> {
    let mut lines = csv.lines();
    let place = lines.next()?.split(';').position(|name| name == column)?;
    lines.last()?.split(';').nth(place)?.parse().ok()
}

#[test]
fn five_hundred_calls_are_what_sipp_counts_too() {
    let (dir, mut ports) = (tempfile::tempdir().unwrap(), Ports::lease());
    let (port, control, media) = (ports.port(), ports.port(), ports.port());
    let mut sipp = Process::start("sipp-uas", dir.path(), "sipp", |command| {
        command.env("TERM", "xterm").args(["-sn", "uas", "-i", "127.0.0.1", "-nostdin"]);
        command.args(["-p", &port.to_string(), "-cp", &control.to_string(), "-mp", &media.to_string()]);
        command.args(["-m", &CALLS.to_string(), "-timeout", "100s", "-trace_stat", "-stf", "sipp.csv"]);
    });
    until("SIPp listens", secs(20), || udp_port_is_bound(port).then_some(()));
    let target = format!("sip:service@127.0.0.1:{port}");
    let loaded = load(dir.path(), &target, &["--calls", &CALLS.to_string(), "--rate", "200", "--hold", "50ms"]);
    assert_eq!(loaded.code, Some(0), "{}", loaded.printed);
    for name in ["started", "answered", "hung_up"] {
        assert_eq!(loaded.count(name), CALLS, "{name}: {:#}", loaded.json["failures"]);
    }
    assert_eq!(loaded.json["latency"]["ringing"]["count"], CALLS);
    // SIPp's callee waits four seconds behind each BYE.
    let status = sipp.end(secs(60));
    assert!(status.success(), "SIPp: {status}");
    let csv = std::fs::read_to_string(dir.path().join("sipp.csv")).unwrap();
    let counted = ["IncomingCall(C)", "SuccessfulCall(C)", "FailedCall(C)"].map(|column| statistic(&csv, column));
    assert_eq!(counted, [Some(CALLS), Some(CALLS), Some(0)]);
}

#[test]
fn refusals_are_counted_and_a_threshold_sets_the_exit_code() {
    let (dir, mut ports) = (tempfile::tempdir().unwrap(), Ports::lease_at_least(300));
    let carrier = Carrier::start(dir.path(), &mut ports, 100, "reject 503 retry 5s", &[]);
    let target = format!("sip:x@127.0.0.1:{}", carrier.port);
    let loaded = load(dir.path(), &target, &["--calls", "50", "--rate", "100", "--max-failures", "1%"]);
    assert_eq!(loaded.code, Some(3), "{}", loaded.printed);
    let failure = &loaded.json["failures"][0];
    assert_eq!(
        [&failure["status"], &failure["calls"], &failure["retry_after"], &failure["retry_after_max_s"]],
        [&json!(503), &json!(50), &json!(50), &json!(5)]
    );
    assert_eq!(failure["latency"]["count"], 50);
    assert_eq!(loaded.json["thresholds"][0]["held"], false);
}

#[test]
fn an_interrupt_hangs_up_what_stands_and_reports_what_was_seen() {
    let (dir, mut ports) = (tempfile::tempdir().unwrap(), Ports::lease_at_least(700));
    let carrier = Carrier::start(dir.path(), &mut ports, 300, "answer", &[]);
    let target = format!("sip:x@127.0.0.1:{}", carrier.port);
    let mut process = started(dir.path(), &target, &["--held", "20", "--rate", "50", "--duration", "10m"]);
    until("twenty calls stand", secs(30), || process.output().contains("up     20").then_some(()));
    process.terminate();
    let loaded = ended(dir.path(), &mut process);
    assert_eq!(loaded.code, Some(0), "{}", loaded.printed);
    assert_eq!((&loaded.json["interrupted"], loaded.count("hung_up")), (&json!(true), 20));
    assert_eq!(loaded.json["most_standing"], 20);
    let ended = reports(&carrier, 20);
    assert!(ended.iter().all(|report| report["outcome"] == "EndedByPeer"), "{:#}", ended[0]);
}

#[test]
fn a_call_with_media_is_heard_both_ways() {
    let (dir, mut ports) = (tempfile::tempdir().unwrap(), Ports::lease_at_least(300));
    let carrier = Carrier::start(dir.path(), &mut ports, 40, "answer, say welcome loop", &[]);
    let (first, last) = ports.range(80);
    let target = format!("sip:x@127.0.0.1:{}", carrier.port);
    let range = format!("{first}-{last}");
    let args = ["--calls", "20", "--rate", "20", "--hold", "2s", "--media", "send", "--media-ports", &range];
    let loaded = load(dir.path(), &target, &args);
    assert_eq!(loaded.code, Some(0), "{}", loaded.printed);
    let media = &loaded.json["media"];
    assert_eq!((&media["streams"], &media["silent"]), (&json!(20), &json!(0)), "{media:#}");
    // Two seconds of a hundred packets each; this machine is others' too.
    assert!((1_800..2_100).contains(&media["received"].as_u64().unwrap()), "{media:#}");
    assert!((1_800..2_100).contains(&media["sent"].as_u64().unwrap()), "{media:#}");
}

#[test]
fn a_load_that_calls_itself_measures_both_legs_and_writes_a_page_that_needs_nothing_else() {
    let (dir, mut ports) = (tempfile::tempdir().unwrap(), Ports::lease_at_least(300));
    let (port, (first, last)) = (ports.port(), ports.range(80));
    let (own, range) = (format!("127.0.0.1:{port}"), format!("{first}-{last}"));
    let mut args = vec!["--bind", &own, "--answer", "--media", "send", "--media-ports", &range, "--hold", "2s"];
    args.extend(["--calls", "10", "--rate", "10", "--digits", "12#", "--srtp", "--html", "run.html", "--from", "<b>"]);
    let loaded = load(dir.path(), &format!("sip:x@{own}"), &args);
    assert_eq!((loaded.code, loaded.count("hung_up")), (Some(0), 10), "{}", loaded.printed);
    assert_eq!((loaded.count("taken"), loaded.count("refused")), (10, 0));
    assert_eq!((loaded.count("digits_sent"), loaded.count("digits_heard")), (30, 30), "{}", loaded.printed);
    let media = &loaded.json["media"];
    assert_eq!((&media["streams"], &media["silent"], &media["srtp_refused"]), (&json!(20), &json!(0), &json!(0)));
    // Every third packet is part of a key, and carries no stamp.
    let away = &media["added_delay"];
    assert!(2 * away["count"].as_u64().unwrap() > media["sent"].as_u64().unwrap(), "{media:#}");
    assert!(away["p50_ms"].as_f64() < Some(20.0) && media["stream_lateness_p99"]["count"] == 20, "{media:#}");
    let page = std::fs::read_to_string(dir.path().join("run.html")).unwrap();
    assert!(page.matches("<svg").count() >= 4 && page.contains("&lt;b&gt;") && !page.contains("<b>&#39;"), "{page}");
    for foreign in ["<script", "src=", "url(", "@import", "<link"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[test]
fn two_targets_are_measured_in_turn_and_compared() {
    let mut setup = Setup::with_rtp(Ports::lease_at_least(600), 120);
    let (port, (first, last)) = (setup.room().1.port(), setup.room().1.range(80));
    let number = |number, answer| format!("[[number]]\nnumber = \"{number}\"\ntenant = \"default\"\nanswer = {answer}");
    let setup = setup
        .trunk("load", "generic", port, "")
        .section(&number("+18325550102", "{ echo = true }"))
        .section(&number("+18325550103", "{ bridge = \"+18325550199\" }"));
    let switch = setup.start();
    let [echo, bridge] = [("echo", 2), ("bridge", 3)]
        .map(|(name, n)| format!("{name}=sip:+1832555010{n}@127.0.0.1:{}", switch.sip_port));
    let (own, range, pid) = (format!("127.0.0.1:{port}"), format!("{first}-{last}"), switch.process.id().to_string());
    let mut process = tandem("load", setup.dir(), |command| {
        command.args(["load", "--against", &echo, "--against", &bridge, "--pid", &pid, "--pid", &pid]);
        command.args(["--bind", &own, "--answer", "--media", "send", "--media-ports", &range, "--json", "load.json"]);
        command.args(["--calls", "10", "--rate", "10", "--hold", "2s", "--html", "run.html"]);
    });
    let loaded = ended(setup.dir(), &mut process);
    assert_eq!((loaded.code, &loaded.json["schema"]), (Some(0), &json!("tandem-load-against/1")), "{}", loaded.printed);
    for (run, name, taken, streams) in [(0, "echo", 0, 10), (1, "bridge", 10, 20)] {
        let run = &loaded.json["runs"][run];
        assert_eq!((&run["name"], &run["counts"]["taken"]), (&json!(name), &json!(taken)), "{}", loaded.printed);
        let media = &run["media"];
        assert_eq!((&media["streams"], &media["silent"]), (&json!(streams), &json!(0)), "{media:#}");
        // Nearly all that this load sends comes back to it; what is sent before the other end listens does not.
        let [sent, back] = [&media["sent"], &media["added_delay"]["count"]].map(|count| count.as_u64().unwrap());
        assert!(back * 10 > sent * 7 && sent > streams * 20, "{media:#}");
        assert!(run["server"].as_str().is_some_and(|server| server.starts_with("Tandem/")), "{run:#}");
        assert!(run["used"]["rss_max_bytes"].as_u64() > Some(1 << 20), "{run:#}");
    }
    let ratios = loaded.json["ratios"].as_array().unwrap();
    let delay = ratios.iter().find(|ratio| ratio["what"] == "added delay, p50").unwrap();
    assert!(delay["ratios"][0] == 1.0 && delay["ratios"][1].as_f64() > Some(0.0), "{delay:#}");
    assert!(loaded.printed.contains("added delay, p99"), "{}", loaded.printed);
    let page = std::fs::read_to_string(setup.dir().join("run.html")).unwrap();
    assert!(page.contains("echo against bridge") && page.contains("Side by side"), "{page}");
}

#[test]
fn a_password_may_lie_in_a_file() {
    let (dir, mut ports) = (tempfile::tempdir().unwrap(), Ports::lease_at_least(200));
    let known = ["--username", "load", "--password", "Correct-Horse-7"];
    let carrier = Carrier::start(dir.path(), &mut ports, 40, "challenge, answer", &known);
    std::fs::write(dir.path().join("secret"), "Correct-Horse-7\n").unwrap();
    let target = format!("sip:x@127.0.0.1:{}", carrier.port);
    let args = ["--calls", "5", "--rate", "10", "--user", "load", "--password-file", "secret", "--max-failures", "0"];
    let loaded = load(dir.path(), &target, &args);
    assert_eq!((loaded.code, loaded.count("challenged")), (Some(0), 5), "{}", loaded.printed);
}

#[test]
fn over_tcp_the_calls_go_as_over_udp() {
    let (dir, mut ports) = (tempfile::tempdir().unwrap(), Ports::lease());
    let (port, control, media) = (ports.port(), ports.port(), ports.port());
    let _sipp = Process::start("sipp-uas", dir.path(), "sipp", |command| {
        command.env("TERM", "xterm").args([
            "-sn",
            "uas",
            "-t",
            "t1",
            "-i",
            "127.0.0.1",
            "-nostdin",
            "-timeout",
            "100s",
        ]);
        command.args(["-p", &port.to_string(), "-cp", &control.to_string(), "-mp", &media.to_string()]);
    });
    until("SIPp listens", secs(20), || common::process::tcp_port_is_bound(port).then_some(()));
    let target = format!("sip:service@127.0.0.1:{port};transport=tcp");
    let loaded = load(dir.path(), &target, &["--calls", "100", "--rate", "100", "--shards", "2"]);
    assert_eq!((loaded.code, loaded.count("hung_up"), loaded.count("resent")), (Some(0), 100, 0), "{}", loaded.printed);
}

#[test]
fn what_cannot_be_is_said_in_a_sentence() {
    let (dir, mut ports) = (tempfile::tempdir().unwrap(), Ports::lease());
    let port = ports.port();
    let _held = std::net::UdpSocket::bind(("127.0.0.1", port)).unwrap();
    let taken = format!("127.0.0.1:{port}");
    let target = "sip:x@127.0.0.1:9";
    let cases: [(i32, &str, &[&str], &str); 18] = [
        (2, "somewhere", &[], "`somewhere` is no SIP URI"),
        (2, "tel:+15551234", &[], "is no SIP URI"),
        (2, target, &["--rate", "0"], "--rate: a rate of 0 calls a second cannot be kept"),
        (2, target, &["--rate", "1..5"], "--ramp says how long"),
        (2, target, &["--to", "100%"], "--to: `100%`"),
        (1, target, &["--bind", &taken], "Address already in use"),
        (1, target, &["--pid", "4294967295"], "--pid: process 4294967295"),
        (2, target, &["--digits", "12"], "--digits wants a stream; add --media send"),
        (2, target, &["--digits", "1x", "--media", "send"], "`x` is no key"),
        (2, target, &["--digits", "12", "--media", "send", "--hold", "100ms"], "2 keys take 400ms"),
        (2, target, &["--answer", "--bind", "127.0.0.1"], "--answer: name the port"),
        (2, target, &["--user", "load"], "its password is missing"),
        (2, target, &["--ramp", "5s"], "--ramp wants two rates"),
        (2, target, &["--duration", "0s"], "no call is due in no time"),
        (1, target, &["--html", "/nonexistent/page.html"], "--html /nonexistent/page.html: No such file"),
        (2, target, &["--against", target], "cannot be used with"),
        (2, target, &["--speed", "5"], "unexpected argument '--speed'"),
        (2, target, &["--max-failures", "lots"], "write a share, like 0.1%"),
    ];
    for (number, (code, target, args, said)) in cases.into_iter().enumerate() {
        let dir = dir.path().join(number.to_string());
        std::fs::create_dir(&dir).unwrap();
        let loaded = load(&dir, target, args);
        assert!(loaded.printed.contains(said), "{args:?}: {}", loaded.printed);
        assert_eq!(loaded.code, Some(code), "{}", loaded.printed);
    }
}

#[test]
fn nobody_there_is_a_failure_of_each_call_at_once() {
    let (dir, mut ports) = (tempfile::tempdir().unwrap(), Ports::lease());
    let target = format!("sip:x@127.0.0.1:{}", ports.port());
    let began = std::time::Instant::now();
    let loaded = load(dir.path(), &target, &["--calls", "10", "--rate", "50"]);
    assert_eq!((loaded.code, loaded.count("failed")), (Some(0), 10), "{}", loaded.printed);
    assert_eq!(loaded.json["failures"][0]["reason"], "transport error");
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_carrier_that_calls_from_elsewhere_proves_by_its_credentials_which_trunk_it_is() {
    let mut setup = Setup::new();
    let (_, ports) = setup.room();
    let far = ports.port();
    let setup =
        setup.trunk("carrier", "generic", far, "inbound_username = \"peer\"\ninbound_password = \"s3cret-peer\"");
    let setup = setup.replaced("accept_from = [\"127.0.0.1/32\"]", "accept_from = [\"192.0.2.1/32\"]");
    let switch = setup.start();
    let target = format!("sip:{OWNED}@127.0.0.1:{}", switch.sip_port);
    let call = |password: &'static str| {
        load(setup.dir(), &target, &["--calls", "1", "--hold", "100ms", "--username", "peer", "--password", password])
    };
    let refused = call("guess");
    assert_eq!((refused.count("answered"), refused.count("challenged")), (0, 1), "{}", refused.printed);
    let taken = call("s3cret-peer");
    assert_eq!((taken.count("answered"), taken.count("challenged")), (1, 1), "{}", taken.printed);
    let row = until("its CDR", secs(60), || switch.http.items("/v1/cdrs").first().cloned());
    assert_eq!((&row["trunk"], &row["direction"]), (&json!("carrier"), &json!("inbound")), "{row:#}");
    assert_eq!(switch.http.items("/v1/cdrs").len(), 1, "who was refused is in no book");
}
