//! Many calls at once through `tandem carrier`: everything admitted is in the books once, and everything taken is given
//! back. One test at a time: two cores carry the switch, the carrier and the clients.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops where it cannot go on, and reports"
)]

mod common;

use common::carrier::Carrier;
use common::http::is_final;
use common::ports::Ports;
use common::switch::{OWNED, Setup, Switch};
use common::{secs, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Held by the one test that runs.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// No limit of the switch is met.
const RAISED: &str = "api_requests_per_minute = 1000000\ncalls_per_second = 1000\nconcurrent_calls = 10000";
/// A thousand calls take twenty seconds and not one: the rest waits as `queued`. A carrier that this machine lets wait for
/// the processor is not a carrier that is silent.
const RAISED_TRUNK: &str = "max_cps = 50\nmax_calls = 10000\ntry_timeout_ms = 20000";
/// As many POSTs are under way at once; the API takes no more connections from one address.
const CLIENTS: usize = 50;
/// Calls of the large tests.
const MANY: usize = 1_000;
/// What each of them meets: challenged, answered, and hung up by the program, which says a word of half a second.
const SHORT: &str = "challenge, ring 100ms, answer 300ms";

/// A switch and a carrier with ports for so many calls, as a port rests for a while after its call.
struct Pair {
    switch: Switch,
    idle_sockets: usize,
    carrier: Carrier,
    _carriers_ports: Ports,
    // Last: its folder holds what the others print.
    setup: Setup,
}

impl Pair {
    fn start(calls: u16, script: &str) -> Self {
        // Fifty more: now and then a port of the range is somebody else's.
        let calls = calls + 50;
        let setup = Setup::with_rtp(Ports::lease_at_least(2 * calls + 100), 2 * calls).limits(RAISED);
        let mut ports = Ports::lease_at_least(2 * calls + 100);
        let account = ["--username", "trunk", "--password", "Correct-Horse-7-Battery"];
        let carrier = Carrier::start(setup.dir(), &mut ports, calls, script, &account);
        let keys = "username = \"trunk\"\npassword = \"Correct-Horse-7-Battery\"\n";
        let setup = setup.trunk("carrier", "twilio", carrier.port, &format!("{keys}{RAISED_TRUNK}"));
        let switch = setup.start();
        let idle_sockets = switch.process.udp_sockets();
        Self { setup, carrier, _carriers_ports: ports, switch, idle_sockets }
    }

    /// Waits until no call is left anywhere and every port has been given back.
    #[track_caller]
    fn assert_idle(&self) {
        until("no call on the trunk", secs(40), || {
            let trunks = self.switch.http.get("/v1/trunks");
            (trunks.body["items"][0]["active_calls"] == 0).then_some(())
        });
        until("as many UDP sockets as at the start", secs(40), || {
            (self.switch.process.udp_sockets() == self.idle_sockets).then_some(())
        });
        let health = self.switch.http.get("/health");
        assert_eq!(health.body["ivr"]["activeSessions"], 0, "{health:?}");
    }

    /// Each call's far end heard the prompt; it is said of how many nothing at all was lost on this machine.
    #[track_caller]
    fn assert_all_heard(&self, calls: usize, prompt: &str) {
        let reports = until("the carrier's report of every call", secs(20), || {
            let output = self.carrier.process.output();
            let reports = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let reports: Vec<Value> = reports.filter(|report| report["outcome"] == "EndedByPeer").collect();
            (reports.len() == calls).then_some(reports)
        });
        let heard = |report: &Value| {
            report["heard"][0]["prompt"] == prompt && report["heard"].as_array().map(Vec::len) == Some(1)
        };
        let deaf: Vec<&Value> = reports.iter().filter(|report| !heard(report)).collect();
        assert!(deaf.is_empty(), "{} calls did not hear {prompt}, as {:#}", deaf.len(), deaf[0]);
        let exact = reports.iter().filter(|report| report["heard"][0]["exact"] == true).count();
        println!("{exact} of {calls} calls heard {prompt} sample for sample");
        let complaints: Vec<&Value> = reports.iter().filter(|report| report["complaints"] != json!([])).collect();
        assert!(complaints.is_empty(), "the carrier complains of {} calls: {:#}", complaints.len(), complaints[0]);
    }
}

/// The nth call: a number of its own each, so that no two are alike.
fn call(nth: usize, prompt: &str) -> Value {
    let to = format!("+1832556{nth:04}");
    json!({ "from": OWNED, "to": to, "answer": { "play": prompt }, "metadata": { "nth": nth } })
}

fn calls(count: usize, prompt: &str) -> Vec<Value> {
    (0..count).map(|nth| call(nth, prompt)).collect()
}

/// The CDRs of these calls, once all are there: exactly one each.
#[track_caller]
fn cdrs(switch: &Switch, sids: &[String], deadline: Duration) -> BTreeMap<String, Value> {
    until("a CDR of every call", deadline, || {
        let rows = switch.http.items("/v1/cdrs");
        let mut books: BTreeMap<String, Value> = BTreeMap::new();
        for row in rows {
            let sid = row["sid"].as_str().unwrap().to_owned();
            assert_eq!(books.insert(sid.clone(), row), None, "two CDRs of {sid}");
        }
        sids.iter().all(|sid| books.contains_key(sid)).then_some(books)
    })
}

/// What every CDR holds, whatever became of its call.
#[track_caller]
fn assert_complete(cdr: &Value) {
    assert!(is_final(cdr), "{cdr:#}");
    for key in ["sid", "direction", "from", "to", "queued_at", "ended_at", "duration_ms", "cause", "metadata"] {
        assert!(!cdr[key].is_null(), "{key}: {cdr:#}");
    }
}

/// A CDR of a call that was answered and went as its program says.
#[track_caller]
fn assert_completed(cdr: &Value) {
    assert_complete(cdr);
    assert_eq!((&cdr["status"], &cdr["cause"]["origin"]), (&json!("completed"), &json!("program")), "{cdr:#}");
    for key in ["trunk", "sent_at", "ringing_at", "answered_at", "pdd_ms", "codec"] {
        assert!(!cdr[key].is_null(), "{key}: {cdr:#}");
    }
    assert!(
        cdr["billable_ms"].as_u64() > Some(0) && cdr["billable_ms"].as_u64() < cdr["duration_ms"].as_u64(),
        "{cdr:#}"
    );
    assert_eq!(cdr["sip_call_ids"].as_array().map(Vec::len), Some(1), "{cdr:#}");
}

#[test]
fn a_hundred_posts_at_once_are_all_admitted_and_booked() {
    let _alone = alone();
    let pair = Pair::start(100, SHORT);
    let replies = pair.switch.http.post_all("/v1/calls", calls(100, "digit-1"), 100);
    let sids = sids_of(replies);
    assert_eq!(sids.len(), 100);
    let books = cdrs(&pair.switch, &sids, secs(60));
    assert_eq!(books.len(), 100);
    books.values().for_each(assert_completed);
    pair.assert_idle();
}

/// The sids of those that were admitted. Everything that was answered at all must have been admitted.
#[track_caller]
fn sids_of(replies: Vec<Option<common::http::Reply>>) -> Vec<String> {
    let answered = replies.into_iter().flatten();
    let sid = |reply: common::http::Reply| {
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.body["sid"].as_str().unwrap().to_owned()
    };
    answered.map(sid).collect()
}

#[test]
fn a_thousand_calls_within_a_minute_are_all_booked_and_everything_is_given_back() {
    let _alone = alone();
    let pair = Pair::start(MANY as u16, SHORT);
    let began = Instant::now();
    let sids = sids_of(pair.switch.http.post_all("/v1/calls", calls(MANY, "digit-1"), CLIENTS));
    assert_eq!(sids.len(), MANY);
    let books = cdrs(&pair.switch, &sids, secs(60));
    println!("{MANY} calls in {:.1} s", began.elapsed().as_secs_f64());
    assert!(began.elapsed() < secs(60));
    assert_eq!(books.len(), MANY);
    books.values().for_each(assert_completed);
    pair.assert_idle();
    pair.assert_all_heard(MANY, "digit-1");
}

#[test]
fn every_call_admitted_before_a_kill_has_one_row_with_an_end_after_it() {
    let _alone = alone();
    let mut pair = Pair::start(MANY as u16, SHORT);
    let mut sids = sids_of(pair.switch.http.post_all("/v1/calls", calls(MANY / 2, "digit-1"), CLIENTS));
    until("a hundred calls in the books", secs(60), || (pair.switch.http.items("/v1/cdrs").len() >= 100).then_some(()));
    // In the middle: some have ended, some live, some wait for a permit, some are asked for just now.
    let http = pair.switch.http.clone();
    let placing = std::thread::spawn(move || http.post_all("/v1/calls", calls(MANY / 2, "digit-1"), 2));
    until("some of the second half", secs(60), || {
        (pair.switch.http.items("/v1/calls").len() > MANY / 2 + 20).then_some(())
    });
    pair.switch.process.kill();
    sids.extend(sids_of(placing.join().unwrap()));
    println!("{} of {MANY} calls were admitted before the kill", sids.len());
    assert!(sids.len() > MANY / 2, "{}", sids.len());

    let switch = pair.setup.start();
    let books = cdrs(&switch, &sids, secs(90));
    books.values().for_each(assert_complete);
    let interrupted = books.values().filter(|cdr| cdr["cause"]["origin"] == "interrupted").count();
    println!("{interrupted} were closed as interrupted, {} had ended", books.len() - interrupted);
    let listed = switch.http.items("/v1/calls");
    assert!(listed.iter().all(is_final), "a call that is still open");
    // A call whose 201 was on its way may be in the books too, and then it is closed as well; none is there twice.
    assert_eq!(listed.len(), books.len());
    assert!(books.len() <= MANY);
}
