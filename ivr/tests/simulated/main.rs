//! A simulation goes the way of a live call: random flows, each before a random caller, once through [`simulate`] and once
//! through the machine that a call runs, driven here as the switch drives it (`live`).

mod flows;
mod live;

use base::{Now, secs};
use ivr::simulate::{Line, MAX_LINES, MAX_STEP_S, Step};
use ivr::{CallContext, Flow, simulate};
use live::{Live, Over};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Every run tries the same cases.
const SEED: u64 = 20_261_129;

const CASES: u32 = 800;

/// How the lines begin that all cases together must have come by, each so often.
const SEEN: [&str; 16] = [
    "> press",
    "> say",
    "> hang up",
    "say",
    "play",
    "stop",
    "got",
    "listen",
    "fetch",
    "bridge",
    "record",
    "stop-record",
    "conference",
    "flow",
    "hangup",
    "warning",
];
const OFTEN: u32 = 20;

fn context() -> CallContext {
    CallContext {
        call_sid: "CA1".to_owned(),
        from: "+15550000001".to_owned(),
        to: "+15550000002".to_owned(),
        ..CallContext::default()
    }
}

/// What the machine asks for and the caller does. How a request, a transfer, a recording and a conference have ended is a
/// remark of the simulator's own: it is seen in what the flow does then.
fn is_done(text: &str) -> bool {
    ["> press ", "> say ", "> hang up"].iter().any(|act| text.starts_with(act)) || !text.starts_with('>')
}

/// Runs a flow both ways from this time of day (milliseconds), the call answered at once or when the flow needs it: what
/// was done, or how the ways part.
fn both(flow: &Value, script: &Value, wall: u64, early: bool) -> Result<Vec<String>, String> {
    let flow = Flow::parse(flow).map(Arc::new).map_err(|why| format!("the flow is none: {why:?}"))?;
    let steps: Result<Vec<Step>, String> = script.as_array().into_iter().flatten().map(Step::parse).collect();
    let (steps, now) = (steps?, Now::new(secs(7), wall));
    let found = |name: &str| (name == "self").then(|| flow.clone());
    let simulated = simulate(&flow, &steps, context(), &found, now);
    let (live, over) = Live::call(&flow, &steps, context(), now, early);
    let cut = ends_alike(&simulated, over)?;
    let simulated: Vec<(u64, String)> =
        simulated.into_iter().filter(|line| is_done(&line.text)).map(|line| (line.at_ms, line.text)).collect();
    let live = if cut { live.get(..simulated.len()).unwrap_or(&live) } else { &live };
    let same = simulated.iter().zip(live).take_while(|(simulated, live)| simulated == live).count();
    if same < simulated.len().max(live.len()) {
        let before = simulated.get(same.saturating_sub(5)..same);
        let (one, other) = (simulated.get(same), live.get(same));
        return Err(format!("after {before:?}\nsimulated {one:?}\nlive      {other:?}"));
    }
    Ok(simulated.into_iter().map(|(_, text)| text).collect())
}

/// Whether the simulation was ended for its length; an error where it has ended otherwise than the call.
fn ends_alike(simulated: &[Line], live: Over) -> Result<bool, String> {
    let last = simulated.last().ok_or("the simulation is empty")?;
    let expected = match last.text.as_str() {
        "> the simulation ends here" => {
            let long = simulated.len() > MAX_LINES || last.at_ms > u64::from(MAX_STEP_S) * 1_000;
            return if long { Ok(true) } else { Err(format!("the simulation ends too early: {last:?}")) };
        }
        "> nothing more happens" => Over::Nothing,
        _ => Over::Done,
    };
    if live == expected { Ok(false) } else { Err(format!("the simulation ends with {last:?}, the call is {live:?}")) }
}

#[test]
fn a_simulation_goes_the_way_of_a_live_call() {
    let config = Config { rng_seed: RngSeed::Fixed(SEED), failure_persistence: None, ..Config::with_cases(CASES) };
    let seen: RefCell<BTreeMap<&str, u32>> = RefCell::default();
    let cases = (flows::flow(), flows::script(), 0u64..86_400_000, any::<bool>());
    let result = TestRunner::new(config).run(&cases, |(flow, script, wall, early)| {
        let done = both(&flow, &script, wall, early).map_err(|why| {
            let case =
                format!("seed {SEED}, at {wall} ms, early {early}, the script\n{script}\nand the flow\n{flow:#}");
            TestCaseError::fail(format!("{why}\n{case}"))
        })?;
        for what in SEEN {
            let is =
                |line: &&String| line.strip_prefix(what).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
            *seen.borrow_mut().entry(what).or_default() +=
                u32::try_from(done.iter().filter(is).count()).unwrap_or(u32::MAX);
        }
        Ok(())
    });
    match result {
        // The smallest case that was found is in the reason, as JSON.
        Err(TestError::Fail(why, _)) => panic!("{why}"),
        other => other.expect("the cases are tried"),
    }
    for (what, often) in seen.into_inner() {
        assert!(often >= OFTEN, "`{what}` was come by {often} times");
    }
}
