//! A trunk's carrier never sees more calls a second than the trunk takes: through bursts, failover, restarts and `kill -9`.
//!
//! Nothing here compares the clocks of two processes within a second, where a busy machine would decide: the switch's own
//! times say how far apart it has sent (events), and the carrier's own count bounds how many have come between a start
//! and an end. `tests/simulation/trunks.rs` holds the same on virtual time, at the carrier's clock, for thousands of seeds.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, in its helpers too"
)]

mod common;

use common::switch::{OWNED, Setup, Switch};
use common::{secs, until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Calls a second of the first trunk, which fails now and then, and of the second.
const CPS: [usize; 2] = [2, 3];
/// Calls of one burst.
const BURST: usize = 14;
/// As many calls of a burst are waited for before the switch is ended: more than a second of both trunks.
const SEEN: usize = 8;
const DEADLINE: Duration = secs(120);

/// A carrier that refuses every call, and notes the Call-ID of each that it has not seen before, by the process that lives.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<(usize, BTreeMap<String, usize>)>>);

impl Seen {
    fn note(&self, call_id: &str) {
        let mut seen = self.0.lock().unwrap();
        let epoch = seen.0;
        seen.1.entry(call_id.to_owned()).or_insert(epoch);
    }

    /// How many calls came while the nth process lived.
    fn of(&self, epoch: usize) -> usize {
        self.0.lock().unwrap().1.values().filter(|of| **of == epoch).count()
    }

    fn call_ids(&self) -> BTreeSet<String> {
        self.0.lock().unwrap().1.keys().cloned().collect()
    }
}

struct Sink {
    port: u16,
    seen: Seen,
}

/// What ends an epoch: it comes after everything that the process which is gone has sent.
const MARK: &[u8] = b"MARK";

impl Sink {
    /// `fails`: what a called number ends in that is answered 503.
    fn start(fails: Option<char>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (port, seen) = (socket.local_addr().unwrap().port(), Seen::default());
        let noted = seen.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 65_535];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if &buffer[..length] == MARK {
                    noted.0.lock().unwrap().0 += 1;
                    continue;
                }
                let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if let Some(answer) = answer(&request, fails, &noted) {
                    socket.send_to(answer.as_bytes(), from).unwrap();
                }
            }
        });
        Self { port, seen }
    }

    /// The process is gone: what comes from now on is another's.
    fn mark(&self) {
        let before = self.seen.0.lock().unwrap().0;
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(MARK, ("127.0.0.1", self.port)).unwrap();
        until("the mark", DEADLINE, || (self.seen.0.lock().unwrap().0 > before).then_some(()));
    }
}

/// 486 or 503 to an INVITE, 200 to anything else that wants an answer.
fn answer(request: &str, fails: Option<char>, seen: &Seen) -> Option<String> {
    let line = request.lines().next()?;
    let header = |name: &str| {
        let of = |line: &str| line.split_once(':').filter(|(key, _)| key.eq_ignore_ascii_case(name)).is_some();
        request.lines().find(|line| of(line)).map(str::to_owned)
    };
    let status = match line.split(' ').next()? {
        "ACK" => return None,
        "INVITE" => {
            let call_id = header("Call-ID")?;
            seen.note(call_id.split_once(':')?.1.trim());
            let user = line.split(['@', ' ']).nth(1)?;
            if user.chars().last() == fails { "503 Service Unavailable\r\nRetry-After: 1" } else { "486 Busy Here" }
        }
        _ => "200 OK",
    };
    let vias: Vec<&str> = request.lines().filter(|line| line.to_ascii_lowercase().starts_with("via:")).collect();
    let (from, to) = (header("From")?, header("To")?);
    let (call_id, cseq) = (header("Call-ID")?, header("CSeq")?);
    let vias = vias.join("\r\n");
    Some(format!(
        "SIP/2.0 {status}\r\n{vias}\r\n{from}\r\n{to};tag=1\r\n{call_id}\r\n{cseq}\r\nContent-Length: 0\r\n\r\n"
    ))
}

fn burst(switch: &Switch, round: usize) -> Vec<String> {
    let call = |nth: usize| json!({ "from": OWNED, "to": format!("+1832555{round:02}{nth:02}"), "answer": { "hangup": true } });
    let replies = switch.http.post_all("/v1/calls", (0..BURST).map(call).collect(), BURST);
    let sid = |reply: Option<common::http::Reply>| {
        let reply = reply.expect("an answer");
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.body["sid"].as_str().unwrap().to_owned()
    };
    replies.into_iter().map(sid).collect()
}

/// Milliseconds of the day.
fn of_day(time: &str) -> u64 {
    let mut parts = time.split(['T', ':', '.', 'Z']).skip(1).map(|part| part.parse::<u64>().unwrap_or_default());
    let mut next = || parts.next().unwrap_or_default();
    ((next() * 60 + next()) * 60 + next()) * 1_000 + next()
}

/// When each INVITE over a trunk left, by the switch's own events.
fn dialled(events: &[Value], trunk: &str) -> Vec<(String, u64)> {
    let own = events.iter().filter(|event| event["type"] == "dialing" && event["data"]["trunk"] == trunk);
    let one = |event: &Value| {
        let call_id = event["data"]["sip_call_id"].as_str().unwrap().to_owned();
        (call_id, of_day(event["at"].as_str().unwrap()))
    };
    own.map(one).collect()
}

#[test]
fn a_trunk_never_sends_more_than_its_calls_a_second_through_bursts_failover_restart_and_kill() {
    let sinks = [Sink::start(Some('3')), Sink::start(None)];
    let keys = |cps: usize, priority: u32| format!("max_cps = {cps}\nmax_calls = 100\npriority = {priority}");
    let setup = Setup::new().trunk("first", "generic", sinks[0].port, &keys(CPS[0], 1)).trunk(
        "second",
        "generic",
        sinks[1].port,
        &keys(CPS[1], 2),
    );
    let (mut sids, mut lives) = (Vec::new(), Vec::new());
    for round in 0..4 {
        let began = Instant::now();
        let mut switch = setup.start();
        sids.extend(burst(&switch, round).into_iter().map(|sid| (round, sid)));
        until("the burst on its way", DEADLINE, || {
            let seen: usize = sinks.iter().map(|sink| sink.seen.of(round)).sum();
            (seen >= SEEN).then_some(())
        });
        match round {
            // In the midst of it.
            0 | 1 => switch.process.kill(),
            // It drains: what is queued is sent before it ends.
            2 => {
                switch.process.terminate();
                switch.process.end(DEADLINE);
            }
            _ => {
                let told = |(of, sid): &(usize, String)| {
                    switch.http.ended(sid, DEADLINE);
                    (*of, switch.http.events(sid))
                };
                let all: Vec<(usize, Vec<Value>)> = sids.iter().map(told).collect();
                for (nth, name) in ["first", "second"].into_iter().enumerate() {
                    let of = |rounds: std::ops::Range<usize>| -> Vec<(String, u64)> {
                        let events = all.iter().filter(|(of, _)| rounds.contains(of)).flat_map(|(_, events)| events);
                        dialled(&events.cloned().collect::<Vec<_>>(), name)
                    };
                    by_the_switch(&of(0..4), CPS[nth]);
                    // Of one that was killed the last word may be written and not sent.
                    all_came(&of(2..4), &sinks[nth].seen.call_ids());
                }
                switch.process.terminate();
                switch.process.end(DEADLINE);
            }
        }
        lives.push((began, Instant::now()));
        sinks.iter().for_each(Sink::mark);
    }
    for (sink, cps) in sinks.iter().zip(CPS) {
        by_the_carrier(&sink.seen, cps, &lives);
    }
}

/// No second of the switch's own time holds more than the rate.
fn by_the_switch(dialled: &[(String, u64)], cps: usize) {
    assert!(dialled.len() > 2 * cps, "only {} INVITEs: nothing was tried", dialled.len());
    let mut times: Vec<u64> = dialled.iter().map(|(_, at)| *at).collect();
    times.sort_unstable();
    let after = |from: u64, at: u64| (at + 86_400_000 - from) % 86_400_000;
    for from in &times {
        let within = times.iter().filter(|at| after(*from, **at) < 1_000).count();
        assert!(within <= cps, "{within} INVITEs in a second at {from} ms, and the trunk takes {cps}: {times:?}");
    }
}

/// What the switch says it has sent has come.
fn all_came(dialled: &[(String, u64)], seen: &BTreeSet<String>) {
    let unseen: Vec<&str> = dialled.iter().map(|(id, _)| id.as_str()).filter(|id| !seen.contains(*id)).collect();
    assert!(unseen.is_empty(), "these were dialled and never came: {unseen:?}");
}

/// Between the start of any process and the end of any later one, no more have come than that time has room for: whole
/// seconds, and a begun one.
fn by_the_carrier(seen: &Seen, cps: usize, lives: &[(Instant, Instant)]) {
    for first in 0..lives.len() {
        for last in first..lives.len() {
            let came: usize = (first..=last).map(|epoch| seen.of(epoch)).sum();
            let time = lives[last].1.duration_since(lives[first].0);
            let room = cps * (time.as_secs() as usize + 1);
            assert!(came <= room, "{came} calls of processes {first} to {last}, in {time:?}: room is for {room}");
        }
    }
}
