//! Strangers on the wire: sipvicious finds neither a user nor a password, and floods of every method leave the others
//! served and the switch as it was (SECURITY 8 and 12, FAULTS 21, 22, 24 and 36).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test stops where it cannot go on, and says what it leaves out"
)]

mod common;

use common::switch::{Setup, Switch};
use common::{in_package, secs, until};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One at a time: what the others do to the machine is not what is looked at.
static ALONE: Mutex<()> = Mutex::new(());

/// How long each method is flooded over each transport. `FLOOD_SECONDS=60 cargo test --test strangers` is the long run.
fn flood_time() -> Duration {
    let seconds = std::env::var("FLOOD_SECONDS").ok().and_then(|s| s.parse().ok());
    secs(seconds.unwrap_or(2))
}

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

/// Asks from an address of its own, ten times a second, until the flood is over; how many of how many were answered.
fn asks_meanwhile(port: u16, until: Instant) -> (usize, usize) {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 8), 0)).unwrap();
    socket.connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let from = socket.local_addr().unwrap().to_string();
    let (mut asked, mut answered) = (0, 0);
    while Instant::now() < until {
        asked += 1;
        socket.send(request("OPTIONS", asked as u64, &from).as_bytes()).unwrap();
        answered += usize::from(socket.recv(&mut [0; 2048]).is_ok());
        std::thread::sleep(Duration::from_millis(100));
    }
    (asked, answered)
}

const METHODS: [&str; 7] = ["INVITE", "REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE", "NOTIFY", "BYE"];

#[test]
fn floods_of_seven_methods_over_udp_leave_others_served_and_nothing_behind() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (_setup, switch) = town();
    let before = resident(&switch);
    for method in METHODS {
        let until = Instant::now() + flood_time();
        let port = switch.sip_port;
        let flood = std::thread::spawn(move || {
            let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 9), 0)).unwrap();
            socket.set_nonblocking(true).unwrap();
            let from = socket.local_addr().unwrap().to_string();
            let (mut sent, mut answers) = (0_u64, 0_u64);
            while Instant::now() < until {
                sent += 1;
                let _ = socket.send_to(request(method, sent, &from).as_bytes(), (Ipv4Addr::LOCALHOST, port));
                answers += u64::from(socket.recv(&mut [0; 2048]).is_ok());
            }
            (sent, answers)
        });
        let (asked, answered) = asks_meanwhile(port, until);
        let (sent, answers) = flood.join().unwrap();
        // One that is lost on a machine under such a load is sent again by everybody's timer E.
        assert!(answered + 2 >= asked, "{method}: {answered} of {asked} were served beside {sent}");
        let allowed = 50 * (flood_time().as_secs() + 4) + 100;
        assert!(answers <= allowed, "{method}: {answers} answers to {sent} of a stranger");
    }
    let after = resident(&switch);
    assert!(after <= before + 64, "{before} MiB before, {after} MiB after");
    assert!(switch.http.items("/v1/calls").is_empty(), "no stranger's request has become a call");
}

#[test]
fn a_flood_over_tcp_and_a_thousand_idle_connections_keep_nobody_out() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (_setup, switch) = town();
    let before = resident(&switch);
    let idle: Vec<TcpStream> =
        (0..1_000).filter_map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, switch.sip_port)).ok()).collect();
    let until_then = Instant::now() + flood_time();
    let port = switch.sip_port;
    let flood = std::thread::spawn(move || {
        let mut n = 0_u64;
        while Instant::now() < until_then {
            let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
            for _ in 0..100 {
                n += 1;
                let text = request(METHODS[(n % 7) as usize], n, "127.0.0.1:9").replace("UDP", "TCP");
                if stream.write_all(text.as_bytes()).is_err() {
                    break;
                }
            }
            // And away, without a word of goodbye.
        }
    });
    let (asked, answered) = asks_meanwhile(port, until_then);
    flood.join().unwrap();
    assert!(answered + 2 >= asked, "{answered} of {asked}");
    // A newcomer is served over TCP while the idle ones stand.
    until("an answer over TCP", secs(10), || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
        stream.set_read_timeout(Some(secs(1))).ok()?;
        stream.write_all(request("OPTIONS", 1, "127.0.0.1:9").replace("UDP", "TCP").as_bytes()).ok()?;
        let mut answer = [0; 64];
        let len = stream.read(&mut answer).ok()?;
        answer[..len].starts_with(b"SIP/2.0 200").then_some(())
    });
    drop(idle);
    assert!(resident(&switch) <= before + 64);
}
