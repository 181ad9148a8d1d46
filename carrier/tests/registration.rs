//! Registering with a carrier, on virtual time: granted, refreshed, refused, silent, shut down.

use base::{Now, Rng, secs};
use carrier::registration::{Input, Output, limits};
use carrier::{Registration, RegistrationState};
use proptest::prelude::*;

/// A registration and the time.
struct Bench {
    machine: Registration,
    now: Now,
    wake: Option<u64>,
    sent: Vec<u32>,
    states: Vec<String>,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let machine = Registration::new(600, Rng::from_u64(seed));
        Self { machine, now: Now::default(), wake: None, sent: Vec::new(), states: Vec::new() }
    }

    fn started(seed: u64) -> Self {
        let mut bench = Self::new(seed);
        bench.give(Input::Start);
        bench
    }

    fn give(&mut self, input: Input) {
        self.machine.handle(input, self.now);
        loop {
            match self.machine.poll() {
                Output::SendRegister { expires } => self.sent.push(expires),
                Output::StateChanged(state) => self.states.push(state.to_string()),
                Output::Timeout(at) => break self.wake = at,
            }
        }
    }

    fn reply(&mut self, status: u16) {
        self.give(Input::Reply { status, expires: None, min_expires: None, retry_after: None });
    }

    fn granted(&mut self, expires: u32) {
        self.give(Input::Reply { status: 200, expires: Some(expires), min_expires: None, retry_after: None });
    }

    /// Sleeps until the machine wants to be woken; seconds slept.
    fn sleep(&mut self) -> f64 {
        let at = self.wake.expect("a wake");
        let slept = at - self.now.mono;
        self.now.mono = at;
        self.give(Input::Timeout);
        slept as f64 / 1e9
    }
}

#[test]
fn registers_and_refreshes_well_before_it_expires() {
    for seed in 0..50 {
        let mut bench = Bench::started(seed);
        assert_eq!((bench.sent.as_slice(), bench.wake), ([600].as_slice(), None));
        bench.granted(600);
        assert!(bench.machine.is_bound(bench.now));
        let slept = bench.sleep();
        assert!((420.0..=480.0).contains(&slept), "{slept}");
        assert!(bench.machine.is_bound(bench.now), "while the refresh is under way");
        bench.granted(600);
        assert_eq!(
            (bench.sent.len(), bench.states.as_slice()),
            (2, ["registering", "registered"].map(String::from).as_slice())
        );
    }
}

#[test]
fn goes_by_what_was_granted_not_by_what_was_asked() {
    let refreshed_after = |granted| {
        let mut bench = Bench::started(1);
        bench.give(Input::Reply { status: 200, expires: granted, min_expires: None, retry_after: None });
        bench.sleep()
    };
    assert!((42.0..=48.0).contains(&refreshed_after(Some(60))));
    assert!((420.0..=480.0).contains(&refreshed_after(None)));
    assert!(refreshed_after(Some(1)) >= limits::MIN_REFRESH_S as f64);
    assert!(refreshed_after(Some(u32::MAX)) <= f64::from(limits::MAX_EXPIRES_S));
}

#[test]
fn backs_off_exponentially_with_jitter_and_begins_anew_after_a_success() {
    let mut bench = Bench::started(7);
    let mut waits = Vec::new();
    for whole in [4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0] {
        bench.reply(503);
        assert!(matches!(bench.machine.state(), RegistrationState::Failed { status: Some(503), .. }));
        let slept = bench.sleep();
        assert!((whole / 2.0..=whole).contains(&slept), "{slept} of {whole}");
        waits.push(slept);
    }
    assert_eq!(bench.sent.len(), 10);
    bench.granted(600);
    bench.sleep();
    bench.give(Input::TransportFailed);
    assert_eq!(bench.states.last().unwrap(), "failed: no connection");
    assert!(bench.sleep() <= 4.0);
    assert_ne!(waits, {
        let mut other = Bench::started(8);
        let mut waits = Vec::new();
        for _ in 0..9 {
            other.reply(503);
            waits.push(other.sleep());
        }
        waits
    });
}

#[test]
fn obeys_retry_after_within_reason() {
    let waited = |retry_after| {
        let mut bench = Bench::started(1);
        bench.give(Input::Reply { status: 503, expires: None, min_expires: None, retry_after: Some(retry_after) });
        bench.sleep()
    };
    assert!((2.0..=4.0).contains(&waited(0)));
    assert_eq!(waited(120), 120.0);
    assert_eq!(waited(u32::MAX), f64::from(limits::MAX_RETRY_AFTER_S));
}

#[test]
fn waits_long_after_a_refusal_of_who_we_are() {
    for status in [401, 403, 404, 407, 603] {
        let mut bench = Bench::started(1);
        for _ in 0..3 {
            bench.reply(status);
            let slept = bench.sleep();
            assert!((450.0..=900.0).contains(&slept), "{status}: {slept}");
        }
        assert_eq!(bench.sent.len(), 4, "one REGISTER a wait");
    }
}

#[test]
fn asks_for_longer_once_when_the_interval_was_too_brief() {
    let too_brief = |min| Input::Reply { status: 423, expires: None, min_expires: min, retry_after: None };
    let mut bench = Bench::started(1);
    bench.give(too_brief(Some(3_600)));
    assert_eq!((bench.sent.as_slice(), bench.wake), ([600, 3_600].as_slice(), None));
    bench.granted(3_600);
    bench.sleep();
    assert_eq!(bench.sent, [600, 3_600, 3_600], "it is remembered");

    for answer in [too_brief(None), too_brief(Some(600)), too_brief(Some(10)), too_brief(Some(86_401))] {
        let mut bench = Bench::started(1);
        bench.give(answer);
        assert_eq!(bench.sent, [600], "{answer:?}: no longer interval to ask for");
        assert!(bench.sleep() >= 2.0);
    }
    let mut bench = Bench::started(1);
    bench.give(too_brief(Some(700)));
    bench.give(too_brief(Some(800)));
    assert_eq!(bench.sent, [600, 700], "twice is a failure, not a loop");
    assert!(bench.wake.is_some());
}

#[test]
fn a_failed_refresh_leaves_the_binding_until_it_expires() {
    let mut bench = Bench::started(1);
    bench.granted(600);
    bench.sleep();
    bench.reply(500);
    assert_eq!(bench.states.last().unwrap(), "failed with 500");
    assert!(bench.machine.is_bound(bench.now));
    bench.sleep();
    assert!(bench.machine.is_bound(bench.now), "while it is tried again");
    bench.now.mono = secs(600);
    assert!(!bench.machine.is_bound(bench.now));
}

#[test]
fn a_grant_of_nothing_is_no_registration() {
    let mut bench = Bench::started(1);
    bench.granted(0);
    assert!(!bench.machine.is_bound(bench.now));
    assert!(bench.sleep() >= 2.0);
    assert_eq!(bench.sent, [600, 600]);
}

#[test]
fn takes_the_binding_back_at_shutdown() {
    let mut bench = Bench::started(1);
    bench.granted(600);
    bench.give(Input::Stop);
    assert_eq!((bench.sent.as_slice(), bench.wake), ([600, 0].as_slice(), None));
    bench.reply(200);
    assert_eq!(bench.states, ["registering", "registered", "unregistering", "unregistered"]);
    bench.give(Input::Timeout);
    assert_eq!(bench.sent.len(), 2);
}

#[test]
fn a_shutdown_waits_for_the_register_that_is_out() {
    let mut bench = Bench::started(1);
    bench.give(Input::Stop);
    assert_eq!(bench.sent, [600], "never two at once (RFC 3261 §10.2.4)");
    bench.granted(600);
    assert_eq!(bench.sent, [600, 0]);
    bench.give(Input::TransportFailed);
    assert_eq!((bench.machine.state(), bench.wake), (&RegistrationState::Unregistered, None));

    let mut bench = Bench::started(1);
    bench.give(Input::Stop);
    bench.reply(503);
    assert_eq!((bench.sent.as_slice(), bench.wake), ([600].as_slice(), None), "nothing to take back");

    let mut bench = Bench::started(1);
    bench.granted(600);
    bench.sleep();
    bench.give(Input::Stop);
    bench.reply(503);
    assert_eq!(bench.sent, [600, 600, 0], "the refresh failed, the binding stands");
}

#[test]
fn a_shutdown_without_a_binding_sends_nothing() {
    let mut bench = Bench::new(1);
    bench.give(Input::Stop);
    assert!(bench.sent.is_empty() && bench.states.is_empty());
    let mut bench = Bench::started(1);
    bench.reply(503);
    bench.give(Input::Stop);
    assert_eq!((bench.sent.as_slice(), bench.wake), ([600].as_slice(), None));
}

#[test]
fn starts_again_after_a_stop() {
    let mut bench = Bench::started(1);
    bench.granted(600);
    bench.give(Input::Stop);
    bench.give(Input::Start);
    assert_eq!(bench.sent, [600, 0]);
    bench.reply(200);
    assert_eq!(bench.sent, [600, 0, 600]);
}

#[test]
fn what_nobody_waits_for_is_ignored() {
    let mut bench = Bench::new(1);
    bench.reply(200);
    bench.give(Input::TransportFailed);
    bench.give(Input::Timeout);
    assert!(bench.sent.is_empty() && bench.states.is_empty());
    bench.give(Input::Start);
    bench.give(Input::Start);
    bench.reply(100);
    bench.give(Input::Timeout);
    assert_eq!((bench.sent.as_slice(), bench.states.len()), ([600].as_slice(), 1));
    bench.granted(600);
    bench.reply(403);
    bench.give(Input::Timeout);
    assert_eq!((bench.sent.len(), bench.machine.state()), (1, &RegistrationState::Registered));
}

fn input() -> impl Strategy<Value = Option<Input>> {
    let status = prop_oneof![Just(200u16), Just(423), Just(403), Just(503), 100u16..700];
    let seconds = || prop::option::of(prop_oneof![0u32..1_000, any::<u32>()]);
    prop_oneof![
        5 => (status, seconds(), seconds(), seconds()).prop_map(|(status, expires, min_expires, retry_after)| {
            Some(Input::Reply { status, expires, min_expires, retry_after })
        }),
        1 => Just(Some(Input::TransportFailed)),
        1 => Just(Some(Input::Start)),
        1 => Just(Some(Input::Stop)),
        1 => Just(Some(Input::Timeout)),
        4 => Just(None), // sleep as long as it wants
    ]
}

proptest! {
    /// Whatever a registrar answers: one REGISTER at a time, no more than two for one wake, and after a stop silence.
    #[test]
    fn never_floods_and_always_stops(seed: u64, inputs in prop::collection::vec(input(), 0..80)) {
        let mut bench = Bench::new(seed);
        let mut out = false;
        let mut since_wake = 0;
        for input in inputs {
            let before = bench.sent.len();
            let answered = matches!(input, Some(Input::Reply { status: 200.., .. } | Input::TransportFailed));
            match input {
                Some(input) => bench.give(input),
                None if bench.wake.is_some() => {
                    let slept = bench.sleep();
                    prop_assert!(slept >= 2.0, "woken after {} s", slept);
                    since_wake = 0;
                }
                None => {}
            }
            let sent = bench.sent.len() - before;
            prop_assert!(sent <= 1);
            prop_assert!(!(out && sent == 1 && !answered), "two REGISTERs at once");
            out = sent == 1 || out && !answered;
            since_wake += sent;
            if matches!(input, Some(Input::Start | Input::Stop)) {
                since_wake = 0;
            }
            prop_assert!(since_wake <= 3, "{} REGISTERs without a wait", since_wake);
        }
        bench.give(Input::Stop);
        for _ in 0..2 {
            bench.give(Input::TransportFailed);
        }
        prop_assert_eq!((bench.machine.state(), bench.wake), (&RegistrationState::Unregistered, None));
    }
}
