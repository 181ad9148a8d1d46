//! A switch that may be killed, its database that may be killed too, and all that they have to do with: clients of the API,
//! a caller, a carrier, a receiver of webhooks.

use crate::clients::Clients;
use crate::common::caller::Caller;
use crate::common::carrier::Carrier;
use crate::common::hooks::Hooks;
use crate::common::http::Http;
use crate::common::ports::Ports;
use crate::common::postgres::Postgres;
use crate::common::process::Process;
use crate::common::switch::{KEY, Setup};
use crate::common::{secs, until};
use base::Rng;
use std::time::{Duration, Instant};

/// From a start to ready, what the crash left included; the switch shares its processors with whatever else runs.
pub const READY_WITHIN: Duration = secs(120);
/// Until the calls that a moment waits for have been taken.
const CALLS_WITHIN: Duration = secs(120);
/// Calls between one event and the next, at most.
const FEW: u64 = 40;

/// A switch that is ready.
#[track_caller]
pub fn start(setup: &Setup, http: &Http) -> Process {
    let mut switch = setup.serve();
    ready(&mut switch, http);
    switch
}

/// Waits until it is.
#[track_caller]
pub fn ready(switch: &mut Process, http: &Http) {
    until("GET /readyz 200", READY_WITHIN, || {
        assert_eq!(switch.ended(), None, "tandem serve ended at its start");
        http.try_get("/readyz").ok().filter(|reply| reply.status == 200)
    });
}

/// All of it.
pub struct Scene {
    pub switch: Option<Process>,
    pub http: Http,
    pub postgres: Option<Postgres>,
    pub database_up: bool,
    pub database_kills: u32,
    /// Starts of the switch while its database was away.
    pub starts_without: u32,
    pub clients: Clients,
    pub caller: Caller,
    pub hooks: Hooks,
    pub carrier: Carrier,
    pub slowest_start: Duration,
    // Last: its folder holds what the others print.
    pub setup: Setup,
}

impl Scene {
    pub fn new(rate: u64) -> Self {
        let calls = u16::try_from(12 * rate).unwrap().max(200);
        let mut ports = Ports::lease_at_least(2 * calls + 100);
        let postgres = Postgres::start(&mut ports);
        let setup = Setup::with_rtp(Ports::lease_at_least(4 * calls + 100), 4 * calls);
        let carrier = Carrier::start(setup.dir(), &mut ports, calls, "ring 20ms, answer 50ms", &[]);
        let limits = "api_requests_per_minute = 1000000\ncalls_per_second = 1000000\nconcurrent_calls = 100000";
        let setup = setup
            .limits(limits)
            .trunk("carrier", "generic", carrier.port, "max_cps = 10000\nmax_calls = 10000")
            .section("[[number]]\nnumber = \"menu\"\ntenant = \"default\"\nanswer = { play = \"digit-1\" }")
            .section("[egress]\nallow = [\"127.0.0.0/8\"]");
        let mut text = setup.text();
        if let Some(postgres) = &postgres {
            text = text.replace("sqlite://tandem.db", &postgres.url());
        }
        std::fs::write(setup.dir().join("tandem.toml"), text).unwrap();
        let (http, hooks) = (Http::new(setup.http_port, KEY), Hooks::start());
        let pace = secs(1) / u32::try_from(rate).unwrap();
        let clients = Clients::start(&http, &hooks.url, pace);
        let caller = Caller::start(setup.sip_port, "menu", pace);
        let slowest_start = Duration::ZERO;
        Self {
            switch: None,
            http,
            postgres,
            database_up: true,
            database_kills: 0,
            starts_without: 0,
            clients,
            caller,
            hooks,
            carrier,
            slowest_start,
            setup,
        }
    }

    pub fn start_switch(&mut self) {
        let began = Instant::now();
        let switch = start(&self.setup, &self.http);
        self.slowest_start = self.slowest_start.max(began.elapsed());
        self.switch = Some(switch);
    }

    pub fn kill_switch(&mut self) {
        let mut switch = self.switch.take().unwrap();
        assert_eq!(switch.ended(), None, "tandem serve ended by itself");
        switch.kill();
    }

    pub fn kill_database(&mut self) {
        if let Some(postgres) = &mut self.postgres {
            postgres.kill();
            self.database_kills += 1;
            self.database_up = false;
        }
    }

    pub fn start_database(&mut self) {
        if let (Some(postgres), false) = (&mut self.postgres, self.database_up) {
            postgres.start_again();
            self.database_up = true;
        }
    }

    /// Returns in the moment in which a caller has been answered, and the switch has hardly done more than that.
    pub fn a_call_is_answered(&self) {
        let (before, began) = (self.caller.taken(), Instant::now());
        while self.caller.taken() == before {
            assert!(began.elapsed() < CALLS_WITHIN, "no call is answered");
            std::thread::yield_now();
        }
    }

    /// Waits until a few more calls have been taken, by either way.
    pub fn calls_go_on(&self, rng: &mut Rng) {
        let taken = || (self.clients.admitted() + self.caller.taken()) as u64;
        let enough = taken() + 1 + rng.u64() % FEW;
        until("calls are taken", CALLS_WITHIN, || (taken() >= enough).then_some(()));
    }
}
