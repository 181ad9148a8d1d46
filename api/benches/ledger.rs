//! What a call costs in the journal and the database: CPU time by thread, a call.
//!
//! `cargo bench -p api --bench ledger -- [CALLS_PER_SECOND [SECONDS [HOLD_MS [URL]]]]`, by default 500 calls a second for
//! 20 seconds, each answered at once and hung up after 100 ms, into a new SQLite database. The facts are those of a call
//! that is answered locally (INVITE, 100, 200, ACK, BYE, 200), appended in the bursts in which signalling appends them.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic)] // a bench may fail, loudly, and prints what it found

#[path = "../src/testing/calls.rs"]
#[allow(dead_code, missing_docs)]
mod records;

use api::{JournalConfig, Ledger, Store};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use switch::{CallSid, Direction, Fact, Record};

fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// CPU time of each thread so far, in nanoseconds, by name; threads of one name are one.
fn cpu() -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let ns: u64 = read("schedstat").split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
        let name = read("comm").trim().trim_end_matches(|c: char| c.is_ascii_digit() || c == '-').to_owned();
        *all.entry(name).or_default() += ns;
    }
    all
}

fn line(sent: bool, line: &str, cseq: &str) -> Fact {
    Fact::Message {
        sent,
        transport: "UDP".into(),
        peer: "127.0.0.1:40123".into(),
        line: line.into(),
        cseq: cseq.into(),
        retransmission: false,
    }
}

/// The facts of call `n`, in three bursts: INVITE to 200, ACK, BYE to the end.
fn bursts(n: u64) -> [Vec<Fact>; 3] {
    let Fact::Admitted(mut admission) = records::admitted(n, 0).fact else { panic!("no admission") };
    admission.direction = Direction::Inbound;
    admission.trunk = Some("sim".into());
    admission.to = format!("+1832555{:04}", n % 10_000);
    let mut cdr = records::cdr(n, wall());
    cdr.direction = Direction::Inbound;
    cdr.to.clone_from(&admission.to);
    let answered = Fact::Answered { sip_status: 200, codec: "PCMU".into(), carrier_call_id: None };
    [
        vec![
            Fact::Admitted(admission),
            line(false, "INVITE sip:+18325550199@127.0.0.1:5060 SIP/2.0", "1 INVITE"),
            line(true, "SIP/2.0 100 Trying", "1 INVITE"),
            line(true, "SIP/2.0 200 OK", "1 INVITE"),
            answered,
        ],
        vec![line(false, "ACK sip:tandem@127.0.0.1:5060 SIP/2.0", "1 ACK"), Fact::Playing { prompt: "welcome".into() }],
        vec![
            line(false, "BYE sip:tandem@127.0.0.1:5060 SIP/2.0", "2 BYE"),
            line(true, "SIP/2.0 200 OK", "2 BYE"),
            Fact::Played { prompt: "welcome".into(), finished: false },
            Fact::Ended(std::sync::Arc::new(cdr)),
        ],
    ]
}

struct Call {
    sid: CallSid,
    seq: u32,
}

impl Call {
    fn say(&mut self, ledger: &Ledger, facts: Vec<Fact>) {
        for mut fact in facts {
            if let Fact::Ended(cdr) = &mut fact {
                std::sync::Arc::make_mut(cdr).sid = self.sid;
            }
            ledger.append(Record { sid: self.sid, seq: self.seq, at: wall(), fact });
            self.seq += 1;
        }
    }
}

/// Plays signalling: `rate` calls a second, evenly, for `lasting`.
fn signalling(ledger: &Ledger, rate: u64, lasting: Duration, hold: Duration) -> u64 {
    let mut rng = base::Rng::from_u64(wall());
    let begun = Instant::now();
    let mut later: VecDeque<(Duration, Call, Vec<Fact>)> = VecDeque::new();
    let mut acks: VecDeque<(Duration, Call, [Vec<Fact>; 2])> = VecDeque::new();
    let mut calls = 0;
    loop {
        let now = begun.elapsed();
        let due = Duration::from_nanos(calls * 1_000_000_000 / rate);
        if now >= due && due < lasting {
            let [invite, ack, bye] = bursts(calls);
            let mut call = Call { sid: CallSid::new(1_795_906_502_467 + calls, &mut rng), seq: 0 };
            call.say(ledger, invite);
            acks.push_back((now + Duration::from_millis(1), call, [ack, bye]));
            calls += 1;
            continue;
        }
        if acks.front().is_some_and(|(at, ..)| *at <= now) {
            let (_, mut call, [ack, bye]) = acks.pop_front().unwrap();
            call.say(ledger, ack);
            later.push_back((now + hold, call, bye));
            continue;
        }
        if later.front().is_some_and(|(at, ..)| *at <= now) {
            let (_, mut call, bye) = later.pop_front().unwrap();
            call.say(ledger, bye);
            continue;
        }
        let next = [(due < lasting).then_some(due), acks.front().map(|a| a.0), later.front().map(|l| l.0)];
        match next.into_iter().flatten().min() {
            Some(at) => std::thread::sleep(at.saturating_sub(now)),
            None => return calls,
        }
    }
}

fn main() {
    let mut given = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let mut number = |unsaid: u64| given.next().map_or(unsaid, |text| text.parse().unwrap());
    let (rate, seconds, hold) = (number(500), number(20), number(100));
    let dir = tempfile::tempdir().unwrap();
    let url = given.next().unwrap_or_else(|| format!("sqlite://{}/bench.db", dir.path().display()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = JournalConfig { dir: dir.path().join("journal"), max_octets: 1 << 30 };
    let ledger = runtime.block_on(async {
        let store = Store::open(&url).await.unwrap();
        let recordings = api::Recordings::new(dir.path().join("recordings"), 30);
        Ledger::open(config, store, &recordings, api::system_wall()).await.unwrap().0
    });
    let (before, began, commits) = (cpu(), Instant::now(), ledger.commits());
    let playing = ledger.clone();
    let play = move || signalling(&playing, rate, Duration::from_secs(seconds), Duration::from_millis(hold));
    let player = std::thread::Builder::new().name("signalling".into()).spawn(move || {
        let calls = play();
        let own: u64 = std::fs::read_to_string("/proc/thread-self/schedstat")
            .ok()
            .and_then(|text| text.split(' ').next()?.parse().ok())
            .unwrap_or(0);
        (calls, own)
    });
    let (calls, own) = player.unwrap().join().unwrap();
    runtime.block_on(ledger.settle()).unwrap();
    let (after, lasted) = (cpu(), began.elapsed());
    println!("{calls} calls in {:.1} s, {} commits of the journal", lasted.as_secs_f64(), ledger.commits() - commits);
    let mut total = 0.0;
    for (name, ns) in &after {
        let us = (ns - before.get(name).copied().unwrap_or(0)) as f64 / 1_000.0 / calls as f64;
        total += us;
        println!("{name:>24} {us:9.2} µs a call");
    }
    println!("{:>24} {total:9.2} µs a call", "journal and database");
    println!(
        "{:>24} {:9.2} µs a call (the bench's own work included)",
        "signalling",
        own as f64 / 1_000.0 / calls as f64
    );
    runtime.block_on(ledger.shutdown());
}
