//! API rates of two switches that share them through a real Redis: together they take what one may, and where Redis is gone
//! each counts for itself, says so, and shares again when it is back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it cannot go on")]

mod common;

use common::http::Http;
use common::ports::Ports;
use common::process::Process;
use common::switch::{KEY, Setup, Switch};
use common::{secs, until};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

/// Requests a minute.
const LIMIT: u32 = 60;

/// Until `/health` says how Redis is.
const SAID_WITHIN: std::time::Duration = secs(60);

/// A Redis that keeps nothing; none, and said so, where there is none here.
fn redis(dir: &Path, port: u16) -> Option<Process> {
    if std::process::Command::new("redis-server").arg("--version").output().is_err() {
        let _ = std::io::stderr().write_all(b"LEFT OUT: no redis-server here; tests/peers.sh installs it\n");
        return None;
    }
    let started = Process::start("redis", dir, "redis-server", |command| {
        let port = port.to_string();
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    });
    until("Redis listens", secs(60), || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    Some(started)
}

fn switch(redis: u16) -> (Setup, Switch) {
    let setup = Setup::new()
        .limits(&format!("api_requests_per_minute = {LIMIT}"))
        .section(&format!("[redis]\nurl = \"redis://127.0.0.1:{redis}\""));
    let switch = setup.start();
    (setup, switch)
}

/// Whether a request that costs one of the rate is let in.
fn is_let_in(http: &Http) -> bool {
    let reply = http.get("/v1/account");
    assert!([200, 429].contains(&reply.status), "{reply:?}");
    assert!(reply.status == 200 || reply.code() == "rate_limited", "{reply:?}");
    reply.status == 200
}

fn says(http: &Http, redis: &str, status: &str) {
    until(&format!("redis is {redis}, all {status}"), SAID_WITHIN, || {
        let health = http.get("/health");
        assert_eq!(health.status, 200, "calls can be made all the same: {health:?}");
        (health.body["redis"]["status"] == redis && health.body["status"] == status).then_some(())
    });
}

/// Asks all in turn until each is refused; how many were let in, and what time may have brought beyond the limit.
fn exhaust(switches: &[&Http]) -> (u32, u32) {
    let (began, mut let_in) = (Instant::now(), 0);
    loop {
        let now: Vec<bool> = switches.iter().map(|http| is_let_in(http)).collect();
        let_in += now.iter().map(|let_in| u32::from(*let_in)).sum::<u32>();
        if !now.contains(&true) {
            return (let_in, (began.elapsed().as_secs() as u32 + 1) * LIMIT / 60 + 1);
        }
    }
}

#[test]
fn two_switches_share_a_rate_as_long_as_redis_is_there_and_each_has_its_own_without() {
    let (mut ports, dir) = (Ports::lease(), tempfile::tempdir().unwrap());
    let port = ports.port();
    let Some(mut server) = redis(dir.path(), port) else { return };
    let (_one_setup, one) = switch(port);
    let (_two_setup, two) = switch(port);
    let both = [&one.http, &two.http];
    both.iter().for_each(|http| says(http, "connected", "healthy"));
    let (let_in, brought) = exhaust(&both);
    assert!((LIMIT..=LIMIT + brought).contains(&let_in), "{let_in} of {LIMIT}, and {brought} that time may bring");

    server.kill();
    both.iter().for_each(|http| says(http, "disconnected", "degraded"));
    for http in both {
        let (let_in, brought) = exhaust(&[http]);
        assert!((LIMIT..=LIMIT + brought).contains(&let_in), "{let_in} of {LIMIT} by itself");
    }

    let _server = redis(dir.path(), port);
    both.iter().for_each(|http| says(http, "connected", "healthy"));
    let (let_in, brought) = exhaust(&both);
    assert!((LIMIT..=LIMIT + brought).contains(&let_in), "{let_in}: Redis begins with a full minute");
}

#[test]
fn a_url_of_no_redis_is_refused_with_what_to_write() {
    let setup = Setup::new().section("[redis]\nurl = \"http://127.0.0.1:6379\"");
    let mut process = setup.spawn();
    assert!(!process.end(secs(60)).success());
    let output = process.output();
    assert!(output.contains("redis.url") && output.contains("write redis://HOST:PORT"), "{output}");
    assert!(!output.contains(KEY));
}
