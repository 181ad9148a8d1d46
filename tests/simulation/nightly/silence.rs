//! ACKs and BYEs that never arrive, and peers that vanish (FAULTS rows 7 and 8). What is over is known by the RTP that no
//! longer comes (`media.timeout_s`), or, in a call that has none, by the session timer (RFC 4028); billed is what was
//! talked until then.

use crate::hosts::{BAD, CARRIER, carrier_config, switch_config};
use crate::place::{PATIENCE, Place, Town, order, rule};
use serde_json::json;
use sip_core::endpoint::SessionInterval;
use std::time::Duration;
use switch::{Fact, Origin};

/// A call without RTP ends after so long.
const MEDIA_TIMEOUT: Duration = Duration::from_secs(10);
/// A session that nobody refreshes ends after so long (the least of RFC 4028 §4).
const SESSION_EXPIRES: Duration = Duration::from_secs(90);
/// No call is ended by a limit of its own.
const WITHOUT_LIMIT: Duration = Duration::from_secs(3_600);

/// Numbers of ours that are called in vain, and one that joins the caller with somebody who will be silent.
const ECHO: &str = "+18325550100";
const JOINED: &str = "+18325550101";

/// How the called go away, by the last digit, and how callers do.
const SILENT: [(&str, &str); 5] = [
    ("*0", "answer 100ms, vanish after 500ms"),
    ("*1", "answer 100ms, lost bye after 700ms"),
    ("*2", "answer 100ms, lost ack, wait 20s"),
    ("*3", "early ringback, answer 200ms, vanish after 2s"),
    ("*4", "answer 100ms, say words loop, vanish after 5s"),
];
const CALLERS: [&str; 3] = ["vanish after 800ms", "lost bye after 900ms", "lost ack, wait 40s"];

pub fn run(seed: u64, calls: u32) -> Vec<Town> {
    // With a timer, calls last for minutes, and their RTP is most of the work: fewer of them.
    let timed = calls / 4;
    vec![silence(seed, calls - timed, false), silence(seed + 1, timed.max(10), true)]
}

fn silence(seed: u64, calls: u32, timed: bool) -> Town {
    let numbers = [(ECHO, json!([{"echo": true}])), (JOINED, json!([{"bridge": "+15557770010"}]))];
    let mut config = switch_config(&numbers);
    let mut rules = SILENT.map(|(number, script)| (number, script.to_owned()));
    if timed {
        config.endpoint.session_timer =
            Some(SessionInterval { session_expires: SESSION_EXPIRES.as_secs() as u32, min_se: 90 });
        config.media_timeout = WITHOUT_LIMIT;
        rules.iter_mut().for_each(|(_, script)| script.push_str(", no rtp"));
    } else {
        config.media_timeout = MEDIA_TIMEOUT;
    }
    let mut place = Place::new(seed, BAD, &config);
    let mut carrier = carrier_config(CARRIER);
    carrier.by_number = rules.iter().map(|(number, script)| rule(&(number, script.as_str()))).collect();
    let carrier = place.carrier(carrier, CARRIER, "trunk.example");
    for n in 0..calls {
        if n % 3 == 0 {
            let script = CALLERS[n as usize / 3 % CALLERS.len()];
            let script = if timed { format!("{script}, no rtp") } else { script.to_owned() };
            place.call_in(carrier, format!("+1666{n:07}"), [ECHO, JOINED][n as usize % 2], &script);
        } else {
            let now = place.network.now();
            let mut order = order(3, &mut place.rng, now);
            order.to = format!("+1555{n:06}{}", n % 5).parse().expect("a number");
            order.max_duration = WITHOUT_LIMIT;
            place.call(order);
        }
        place.wait_about(Duration::from_millis(5), Duration::from_millis(50));
    }
    let limit = if timed { SESSION_EXPIRES } else { MEDIA_TIMEOUT };
    // The last sign of life, the limit, and 64·T1 in which a refresh is tried or an ACK waited for.
    let longest = Duration::from_secs(10) + limit + PATIENCE;
    let town = place.finish(longest);
    let (mut by_rtp, mut by_timer) = (0, 0);
    for record in &town.records {
        let Fact::Ended(cdr) = &record.fact else { continue };
        // Whose ACK never came and who then does not answer the BYE either is billed until the BYE is given up: 64·T1 twice.
        let given_up = PATIENCE * 2 + Duration::from_secs(1);
        let most = if cdr.cause.reason.contains("acknowledged") { longest.max(given_up) } else { longest };
        assert!(u128::from(cdr.billable_ms) <= most.as_millis(), "seed {seed}: billed for silence: {cdr:#?}");
        by_rtp += u32::from(cdr.cause.origin == Origin::MediaTimeout);
        by_timer += u32::from(cdr.cause.reason.contains("far end"));
    }
    let counted = if timed { by_timer } else { by_rtp };
    assert!(
        calls < 10 || counted * 5 >= calls,
        "seed {seed}: {by_rtp} ended by RTP, {by_timer} by the timer, of {calls}"
    );
    town
}
