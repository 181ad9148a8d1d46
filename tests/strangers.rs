//! Strangers on the wire: sipvicious finds neither a user nor a password, and floods of every method leave the others
//! served and the switch as it was (SECURITY 8 and 12, FAULTS 21, 22, 24 and 36). `benches/floods.sh` is the long run.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test stops where it cannot go on, and says what it leaves out"
)]

mod common;

use common::ports::Ports;
use common::switch::{OWNED, Setup, Switch, tandem};
use common::{in_package, secs, until};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One at a time: what the others do to the machine is not what is looked at.
static ALONE: Mutex<()> = Mutex::new(());

/// How long each method is flooded over each transport.
const FLOOD: Duration = secs(5);
/// Where floods come from; good calls come from 127.0.0.1, which is a trunk's.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
/// Where idle connections come from.
const IDLE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 10);
/// Ports for good calls: two each, and they rest for a while after a call.
const RTP_PORTS: u16 = 400;

fn town() -> (Setup, Switch) {
    let users: String = [("104", "s3cret"), ("1001", "1001"), ("alice", "dragon")]
        .map(|(name, password)| format!("[[user]]\nname = \"{name}\"\npassword = \"{password}\"\n"))
        .concat();
    let setup = Setup::new().section(&users);
    let switch = setup.start();
    (setup, switch)
}

/// `tests/peers.sh` puts it there, where pip can.
fn sipvicious(tool: &str) -> Option<PathBuf> {
    let path = in_package(&format!("target/peers/sipvicious/bin/sipvicious_{tool}"));
    if !path.exists() {
        eprintln!("left out: {} is not installed (tests/peers.sh)", path.display());
        return None;
    }
    Some(path)
}

fn run(tool: &PathBuf, setup: &Setup, arguments: &[&str]) -> String {
    // It keeps its sessions in its home, and runs at its own pace: what the bans leave unanswered, it waits for.
    let mut command = Command::new("timeout");
    command.arg("60").arg(tool).args(arguments).env("HOME", setup.dir()).current_dir(setup.dir());
    let output = command.output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn svwar_finds_no_user() {
    let Some(svwar) = sipvicious("svwar") else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (setup, switch) = town();
    let port = switch.sip_port.to_string();
    for method in ["REGISTER", "INVITE", "OPTIONS"] {
        let said = run(&svwar, &setup, &["-p", &port, "-e", "100-110", "-m", method, "--force", "127.0.0.1"]);
        let named = said.lines().filter(|line| line.starts_with('|') && !line.contains("Extension")).count();
        let all_the_same = named == 0 || named == 11;
        assert!(all_the_same, "{method} tells 104 from the others:\n{said}");
    }
}

#[test]
fn svcrack_finds_no_password() {
    let Some(svcrack) = sipvicious("svcrack") else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (setup, switch) = town();
    // The right one is there, after more wrong ones than anybody may try.
    let words: String = (0..60).map(|n| format!("wrong{n}\n")).chain(["s3cret\n".to_owned()]).collect();
    std::fs::write(setup.dir().join("words"), words).unwrap();
    let port = switch.sip_port.to_string();
    let said = run(&svcrack, &setup, &["-p", &port, "-u", "104", "-d", "words", "127.0.0.1"]);
    assert!(!said.contains("s3cret"), "{said}");
}

/// A request of this method, fit to be processed, from this port.
fn request(method: &str, n: u64, from: &str) -> String {
    format!(
        "{method} sip:104@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {from};rport;branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\n\
         From: <sip:104@127.0.0.1>;tag={n}\r\nTo: <sip:104@127.0.0.1>\r\nCall-ID: {n}@{from}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:104@{from}>\r\nContent-Length: 0\r\n\r\n"
    )
}

/// The switch's memory, in MiB.
fn resident(switch: &Switch) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{}/statm", switch.process.id())).unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096 / (1 << 20)
}

/// A switch that takes calls of 127.0.0.1.
fn flooded_town() -> (Setup, Switch) {
    let user = "[[user]]\nname = \"104\"\npassword = \"s3cret\"\n";
    let setup = Setup::with_rtp(Ports::lease_at_least(RTP_PORTS + 40), RTP_PORTS).section(user);
    let setup = setup.trunk("carrier", "generic", 9, "");
    let switch = setup.start();
    (setup, switch)
}

/// Good calls at ten a second while a flood lasts, and every one of them is answered.
#[track_caller]
fn good_calls_complete(setup: &Setup, switch: &Switch, beside: &str) {
    let target = format!("sip:{OWNED}@127.0.0.1:{}", switch.sip_port);
    let duration = format!("{}s", FLOOD.as_secs());
    let mut load = tandem("load", setup.dir(), |command| {
        command.args(["load", &target, "--rate", "10", "--duration", &duration, "--hold", "100ms"]);
        command.args(["--json", "load.json", "--max-failures", "0"]);
    });
    let code = load.end(secs(60)).code();
    assert_eq!(code, Some(0), "good calls beside a flood of {beside}:\n{}", load.output());
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(setup.dir().join("load.json")).unwrap()).unwrap();
    assert!(json["counts"]["answered"].as_u64() >= Some(10 * (FLOOD.as_secs() - 1)), "{json:#}");
}

const METHODS: [&str; 7] = ["INVITE", "REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE", "NOTIFY", "BYE"];

#[test]
fn floods_of_seven_methods_over_udp_leave_good_calls_alone_and_nothing_behind() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (setup, switch) = flooded_town();
    let before = resident(&switch);
    for method in METHODS {
        let begun = Instant::now();
        let until = begun + FLOOD;
        let port = switch.sip_port;
        let flood = std::thread::spawn(move || flood_by_datagrams(method, port, until));
        good_calls_complete(&setup, &switch, method);
        let (sent, answers) = flood.join().unwrap();
        let allowed = 50 * (begun.elapsed().as_secs() + 4) + 100;
        assert!(sent > 2 * allowed && answers <= allowed, "{method}: {answers} answers to {sent} of a stranger");
    }
    assert_nothing_is_left(&switch, before);
}

/// As many as leave from one socket; how many were sent and answered.
fn flood_by_datagrams(method: &str, port: u16, until: Instant) -> (u64, u64) {
    let socket = UdpSocket::bind((STRANGER, 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    let from = socket.local_addr().unwrap().to_string();
    let (mut sent, mut answers) = (0, 0);
    while Instant::now() < until {
        sent += 1;
        let _ = socket.send_to(request(method, sent, &from).as_bytes(), (Ipv4Addr::LOCALHOST, port));
        answers += u64::from(socket.recv(&mut [0; 2048]).is_ok());
    }
    (sent, answers)
}

/// The memory is back, and no stranger's request has become a call.
#[track_caller]
fn assert_nothing_is_left(switch: &Switch, before: u64) {
    let after = resident(switch);
    assert!(after <= before + 64, "{before} MiB before, {after} MiB after");
    let calls = switch.http.items("/v1/calls");
    assert!(calls.iter().all(|call| call["to"] == OWNED), "a stranger's request has become a call");
}

/// A connection from this address.
fn connect_from(from: Ipv4Addr, port: u16) -> std::io::Result<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?.into_std()
    })?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// A hundred requests a connection, and away without a word of goodbye, twenty times a second: more than a switch that is
/// built for tests takes calls, and not all that a machine can send; how many were sent.
fn flood_by_streams(method: &str, port: u16, until: Instant) -> u64 {
    let mut n = 0;
    while Instant::now() < until {
        let Ok(mut stream) = connect_from(STRANGER, port) else { continue };
        let _ = stream.set_write_timeout(Some(secs(1)));
        for _ in 0..100 {
            n += 1;
            let text = request(method, n, "127.0.0.9:9").replace("UDP", "TCP");
            if stream.write_all(text.as_bytes()).is_err() {
                break;
            }
        }
        drop(stream);
        std::thread::sleep(Duration::from_millis(50));
    }
    n
}

/// A newcomer is served over TCP, whatever else is connected.
#[track_caller]
fn assert_newcomers_are_served(port: u16) {
    until("an answer over TCP", secs(10), || {
        let mut stream = connect_from(Ipv4Addr::new(127, 0, 0, 8), port).ok()?;
        stream.set_read_timeout(Some(secs(1))).ok()?;
        stream.write_all(request("OPTIONS", 1, "127.0.0.8:9").replace("UDP", "TCP").as_bytes()).ok()?;
        let mut answer = [0; 64];
        let len = stream.read(&mut answer).ok()?;
        answer[..len].starts_with(b"SIP/2.0 200").then_some(())
    });
}

#[test]
fn floods_of_seven_methods_over_tcp_beside_a_thousand_idle_connections_keep_nobody_out() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (setup, switch) = flooded_town();
    let (before, port) = (resident(&switch), switch.sip_port);
    let idle: Vec<TcpStream> = (0..1_000).filter_map(|_| connect_from(IDLE, port).ok()).collect();
    assert_newcomers_are_served(port);
    for method in METHODS {
        let until = Instant::now() + FLOOD;
        let flood = std::thread::spawn(move || flood_by_streams(method, port, until));
        good_calls_complete(&setup, &switch, method);
        assert!(flood.join().unwrap() > 0);
    }
    assert_newcomers_are_served(port);
    drop(idle);
    assert_nothing_is_left(&switch, before);
}
