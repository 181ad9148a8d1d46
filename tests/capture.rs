//! A call's messages on the wire, as others read them: `tshark` the pcap of one call, `sngrep` what is sent to a HEP
//! collector.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it cannot go on")]

mod common;

use common::carrier::Carrier;
use common::ports::Ports;
use common::process::{Process, udp_port_is_bound};
use common::switch::{CALLED, OWNED, Setup, Switch, tandem};
use common::{secs, until};
use serde_json::json;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// What the carrier challenges for.
const CREDENTIALS: [&str; 4] = ["--username", "tandem", "--password", "Correct-Horse-7"];

/// How tshark says that a checksum is right.
const GOOD: &str = "1";

/// Whether a program is there; where it is not, the test says so.
fn has(program: &str) -> bool {
    let there = Command::new(program).arg("-h").output().is_ok();
    if !there {
        let _ = std::io::stderr()
            .write_all(format!("LEFT OUT: no {program} here; tests/peers.sh installs it\n").as_bytes());
    }
    there
}

/// Source port, target port, method or status, of each SIP message that tshark finds, in order; none of it malformed.
fn read(file: &Path, port: u16, checksum: &str) -> Vec<(u16, u16, String)> {
    let fields = ["udp.srcport", "udp.dstport", "sip.Method", "sip.Status-Code", "_ws.malformed", "ip.checksum.status"];
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(file).args(["-Y", "sip", "-d", &format!("udp.port=={port},sip"), "-T", "fields"]);
    tshark.args(["-E", "separator=|", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]);
    tshark.args(fields.iter().flat_map(|field| ["-e", field]));
    let read = tshark.output().unwrap();
    let text = String::from_utf8(read.stdout).unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let line = |line: &str| {
        let fields: Vec<&str> = line.split('|').collect();
        assert_eq!(fields[4], "", "malformed: {line}");
        assert!(fields[5].ends_with(checksum), "a wrong checksum: {line}");
        (fields[0].parse().unwrap(), fields[1].parse().unwrap(), format!("{}{}", fields[2], fields[3]))
    };
    text.lines().map(line).collect()
}

/// A call to the carrier that has ended.
fn one_call(sections: &str) -> (Setup, Carrier, Switch, String) {
    let mut setup = Setup::new();
    let (dir, ports) = setup.room();
    let carrier = Carrier::start(dir, ports, 10, "challenge, ring 100ms, answer 200ms, wait 20s", &CREDENTIALS);
    let credentials = "username = \"tandem\"\npassword = \"Correct-Horse-7\"";
    let setup = setup.trunk("carrier", "twilio", carrier.port, credentials).section(sections);
    let switch = setup.start();
    let sid = switch.http.place(&json!({ "from": OWNED, "to": CALLED, "answer": { "play": "digit-1" } }));
    assert_eq!(switch.http.ended(&sid, secs(60))["status"], "completed");
    (setup, carrier, switch, sid)
}

/// The messages of that call have to be among others in this order.
fn holds_call(seen: &[(u16, u16, String)], ours: u16, theirs: u16) {
    let (out, back) = ((ours, theirs), (theirs, ours));
    let order =
        [(out, "INVITE"), (back, "407"), (out, "INVITE"), (back, "180"), (back, "200"), (out, "ACK"), (out, "BYE")];
    holds(seen, &order);
}

fn holds(seen: &[(u16, u16, String)], order: &[((u16, u16), &str)]) {
    let mut rest = seen.iter();
    for (way, what) in order {
        let found = rest.any(|(from, to, said)| (*from, *to) == *way && said == what);
        assert!(found, "no {what} where it belongs in {seen:?}");
    }
}

/// The messages of a call's pcap, once the answer to its BYE is in it. `port`: where one side speaks SIP.
fn pcap(setup: &Setup, switch: &Switch, sid: &str, port: u16) -> (Vec<(u16, u16, String)>, String) {
    let (path, file) = (format!("/v1/calls/{sid}/pcap"), setup.dir().join("call.pcap"));
    let seen = until("the answer to the BYE is in it", secs(60), || {
        let (status, octets) = switch.http.octets(&path);
        assert!([200, 404].contains(&status), "{status}");
        std::fs::write(&file, octets).unwrap();
        let seen = if status == 200 { read(&file, port, GOOD) } else { Vec::new() };
        let bye = seen.iter().position(|(_, _, said)| said == "BYE")?;
        seen.get(bye + 1..)?.iter().any(|(_, _, said)| said == "200").then_some(seen)
    });
    (seen, String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned())
}

#[test]
fn a_calls_pcap_is_read_by_tshark_from_its_invite_to_its_bye() {
    if !has("tshark") {
        return;
    }
    let (setup, carrier, switch, sid) = one_call("[capture]\nkeep_mb = 8");
    let (seen, text) = pcap(&setup, &switch, &sid, carrier.port);
    holds_call(&seen, switch.sip_port, carrier.port);
    assert!(text.contains("response=\"xxxxxxxx"), "what answers a challenge is made unreadable");
}

#[test]
fn a_call_that_came_over_tcp_has_a_pcap_too() {
    if !has("tshark") {
        return;
    }
    let mut setup = Setup::new();
    let far = setup.room().1.port();
    let setup = setup.trunk("carrier", "generic", far, "").section("[capture]\nkeep_mb = 8");
    let switch = setup.start();
    let target = format!("sip:{OWNED}@127.0.0.1:{};transport=tcp", switch.sip_port);
    let mut load = tandem("load", setup.dir(), |command| {
        command.args(["load", &target, "--calls", "1", "--hold", "100ms", "--max-failures", "0"]);
    });
    assert!(load.end(secs(120)).success(), "{}", load.output());
    let sid = until("the call", secs(60), || Some(switch.http.items("/v1/calls").first()?["sid"].as_str()?.to_owned()));
    let (seen, _) = pcap(&setup, &switch, &sid, switch.sip_port);
    let (come, back) = ((seen[0].0, switch.sip_port), (switch.sip_port, seen[0].0));
    holds(&seen, &[(come, "INVITE"), (back, "200"), (come, "ACK"), (come, "BYE"), (back, "200")]);
}

#[test]
fn without_capture_there_is_no_pcap_and_it_is_said_what_to_write() {
    let (_setup, _carrier, switch, sid) = one_call("");
    let answer = switch.http.get(&format!("/v1/calls/{sid}/pcap"));
    assert_eq!((answer.status, answer.code()), (404, "not_captured"));
    assert!(answer.body["detail"].as_str().unwrap().contains("keep_mb"));
}

#[test]
fn every_message_reaches_a_hep_collector_that_others_have_written() {
    if !has("sngrep") || !has("tshark") {
        return;
    }
    let mut ports = Ports::lease();
    let dir = tempfile::tempdir().unwrap();
    let (collector, heard) = (ports.port(), dir.path().join("heard.pcap"));
    let mut sngrep = Process::start("sngrep", dir.path(), "sngrep", |command| {
        let listen = format!("udp:127.0.0.1:{collector}");
        command.args(["-N", "-q", "-F", "-L", &listen, "-O"]).arg(&heard);
    });
    until("sngrep listens", secs(60), || udp_port_is_bound(collector).then_some(()));
    let (_setup, carrier, switch, _sid) = one_call(&format!("[hep]\ncollector = \"udp:127.0.0.1:{collector}\""));
    let figures = || {
        let text = switch.http.get("/metrics").body.as_str().unwrap().to_owned();
        let figure = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
            line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
        };
        (figure("tandem_capture_exported_messages"), figure("tandem_capture_dropped_messages"))
    };
    until("all of the call is sent", secs(60), || (figures().0 >= 9).then_some(()));
    let seen = until("all of it is heard", secs(60), || {
        let seen = if heard.exists() { read(&heard, carrier.port, "") } else { Vec::new() };
        let bye = seen.iter().position(|(_, _, said)| said == "BYE")?;
        seen.get(bye + 1..)?.iter().any(|(_, _, said)| said == "200").then_some(seen)
    });
    holds_call(&seen, switch.sip_port, carrier.port);
    assert_eq!(figures().1, 0, "none was dropped");
    sngrep.kill();
}
