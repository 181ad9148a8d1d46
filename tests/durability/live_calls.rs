//! `kill -9` with two hundred calls live (FAULTS 16), half of them answered and half ringing: each is closed once, as
//! interrupted, and a second kill changes nothing of that.
//!
//! `LIVE_CALLS` is how many (200).

use crate::common::carrier::Carrier;
use crate::common::http::{Http, is_final};
use crate::common::ports::Ports;
use crate::common::switch::{CALLED, KEY, OWNED, Setup};
use crate::common::{secs, until};
use crate::scene::start;
use crate::{COMPLETE_WITHIN, alone, setting};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Whom the carrier does not answer for.
const RINGS: &str = "+18325550111";
/// Until all of them live.
const LIVE_WITHIN: std::time::Duration = secs(300);
/// Requests under way at a time.
const AT_ONCE: usize = 20;

fn call(nth: u64) -> Value {
    let to = if nth.is_multiple_of(2) { CALLED } else { RINGS };
    json!({ "from": OWNED, "to": to, "timeout_s": 600, "answer": { "play": "hold-music", "loop": 0 } })
}

#[test]
fn every_call_that_is_live_when_the_switch_is_killed_is_closed_once_as_interrupted() {
    let _alone = alone();
    let calls = setting("LIVE_CALLS", 200);
    let room = u16::try_from(calls).unwrap();
    let setup = Setup::with_rtp(Ports::lease_at_least(3 * room + 100), 2 * room + 40);
    let mut ports = Ports::lease_at_least(2 * room + 100);
    let number = format!("*{}=ring only", &RINGS[RINGS.len() - 4..]);
    let carrier = Carrier::start(setup.dir(), &mut ports, room, "ring 20ms, answer 50ms", &["--number", &number]);
    let setup = setup
        .limits("api_requests_per_minute = 1000000\ncalls_per_second = 1000000\nconcurrent_calls = 100000")
        .trunk("carrier", "generic", carrier.port, "max_cps = 10000\nmax_calls = 10000");
    // The far end of a call says nothing, and nobody is to miss it however long it takes until all of them live.
    let text = setup.text().replace("[media]\n", "[media]\ntimeout_s = 3600\n");
    std::fs::write(setup.dir().join("tandem.toml"), text).unwrap();
    let http = Http::new(setup.http_port, KEY);
    let mut switch = start(&setup, &http);
    let replies = http.post_all("/v1/calls", (0..calls).map(call).collect(), AT_ONCE);
    let sid = |reply: Option<crate::common::http::Reply>| {
        let reply = reply.expect("an answer");
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.body["sid"].as_str().unwrap().to_owned()
    };
    let sids: BTreeSet<String> = replies.into_iter().map(sid).collect();
    assert_eq!(sids.len() as u64, calls);
    until("half of them are answered, and half ring", LIVE_WITHIN, || {
        let all = http.items("/v1/calls");
        let count = |status: &str| all.iter().filter(|call| call["status"] == status).count() as u64;
        (count("in-progress") == calls.div_ceil(2) && count("ringing") == calls / 2).then_some(())
    });
    // A fact is told of a moment before it is on disk: one more admission that is, is behind all of them there.
    http.place(&call(0));
    switch.kill();

    for restart in 0..2 {
        let mut switch = start(&setup, &http);
        let rows = until("a CDR of every call", COMPLETE_WITHIN, || {
            let mut rows = http.items("/v1/cdrs");
            rows.retain(|row| sids.contains(row["sid"].as_str().unwrap()));
            (rows.len() as u64 >= calls).then_some(rows)
        });
        let distinct: BTreeSet<&str> = rows.iter().filter_map(|row| row["sid"].as_str()).collect();
        assert_eq!((rows.len() as u64, distinct.len() as u64), (calls, calls), "each once, start {restart}");
        for row in &rows {
            let status = if row["to"] == RINGS { "failed" } else { "completed" };
            assert_eq!((&row["status"], &row["cause"]["origin"]), (&json!(status), &json!("interrupted")), "{row:#}");
            assert_eq!(row["sip_call_ids"].as_array().map(Vec::len), Some(1), "{row:#}");
        }
        until("no call is live", COMPLETE_WITHIN, || http.items("/v1/calls").iter().all(is_final).then_some(()));
        switch.kill();
    }
    drop(carrier);
}
