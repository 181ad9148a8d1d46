//! The database killed for a while under load: calls go on as before, `/health` says so, and afterwards every one of them
//! has its row.
//!
//! `OUTAGE_S` is how many seconds (2), before it as many with the database; `OUTAGE_CALLS_A_SECOND` by each of the two
//! ways (10).

use crate::admitted::{Admitted, assert_only_of_calls, untold};
use crate::clients::Posted;
use crate::common::http::is_final;
use crate::common::{secs, until};
use crate::scene::Scene;
use crate::{COMPLETE_WITHIN, alone, setting};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Until `/health` says how the database is.
const SAID_WITHIN: Duration = secs(60);

/// p50 and p99 of these, in milliseconds.
fn spread(of: impl Iterator<Item = f64>) -> String {
    let mut all: Vec<f64> = of.collect();
    all.sort_by(f64::total_cmp);
    let at = |share: f64| all.get(((all.len() as f64 * share).ceil() as usize).max(1) - 1).copied().unwrap_or(f64::NAN);
    format!("p50 {:.1} ms, p99 {:.1} ms of {}", at(0.5), at(0.99), all.len())
}

/// From one RFC 3339 time of the API to another less than half a day later, in milliseconds.
fn ms_between(from: &str, to: &str) -> f64 {
    let of_day = |text: &str| {
        let clock = text.split(['T', 'Z']).nth(1).unwrap_or_else(|| panic!("not RFC 3339: {text:?}"));
        clock.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap()) * 1e3
    };
    (of_day(to) - of_day(from)).rem_euclid(86_400e3)
}

/// What a part of the run looked like: the POSTs that left in it, and the set-up of their calls as their CDRs have it: from
/// admission to the carrier's 180, whatever they waited for, and from the INVITE on.
fn report(part: &str, posted: &[&Posted], rows: &BTreeMap<String, Value>) {
    let row = |one: &&&Posted| rows.get(one.reply.as_ref()?.body["sid"].as_str()?);
    let cdrs: Vec<&Value> = posted.iter().filter_map(|one| row(&one)).collect();
    let set_up = |cdr: &&Value| Some(ms_between(cdr["queued_at"].as_str()?, cdr["ringing_at"].as_str()?));
    println!("{part}: POST to 201 {}", spread(posted.iter().map(|one| one.took.as_secs_f64() * 1e3)));
    println!(
        "{part}: INVITE to 180 (which comes after 20 ms) {}",
        spread(cdrs.iter().filter_map(|cdr| cdr["pdd_ms"].as_f64()))
    );
    println!("{part}: admission to 180 {}", spread(cdrs.iter().filter_map(set_up)));
}

#[test]
fn a_database_that_is_killed_for_a_while_costs_no_call_no_row_and_no_time() {
    let _alone = alone();
    let (seconds, rate) = (setting("OUTAGE_S", 2), setting("OUTAGE_CALLS_A_SECOND", 10));
    let mut scene = Scene::new(rate);
    if scene.postgres.is_none() {
        return;
    }
    scene.start_switch();
    let ready = Instant::now();
    let status = |scene: &Scene| scene.http.get("/health").body["status"].clone();
    let says = |scene: &Scene, what: &str| {
        until(&format!("/health says {what}"), SAID_WITHIN, || (status(scene) == what).then_some(()));
    };
    let calls_for = |scene: &Scene, seconds: u64| {
        // By both ways.
        let taken = || [scene.clients.admitted() as u64, scene.caller.taken() as u64];
        let (before, began) = (taken(), Instant::now());
        until("calls are taken", SAID_WITHIN + 4 * secs(seconds), || {
            let enough = taken().iter().zip(before).all(|(now, before)| *now >= before + seconds * rate / 2);
            (began.elapsed() >= secs(seconds) && enough).then_some(())
        });
    };
    says(&scene, "healthy");
    calls_for(&scene, seconds);
    let away = Instant::now();
    scene.kill_database();
    says(&scene, "degraded");
    calls_for(&scene, seconds);
    assert_eq!(status(&scene), "degraded");
    let back = Instant::now();
    scene.start_database();
    says(&scene, "healthy");
    println!(
        "the database was away for {:.1} s; healthy {:.1} s after its start",
        (back - away).as_secs_f64(),
        back.elapsed().as_secs_f64()
    );

    let Scene { switch, http, postgres, clients, caller, hooks, carrier, setup, .. } = scene;
    let mut posted = clients.stop();
    let admitted = Admitted::new(posted.clone(), caller.stop().answers);
    posted.retain(|one| one.left >= ready);
    let is_taken = |one: &&Posted| one.reply.as_ref().is_some_and(|reply| reply.status == 201);
    let refused = posted.iter().filter(|one| !is_taken(one)).count();
    println!(
        "{} POSTs were answered 201, {} INVITEs with more than a 100; {refused} POSTs and {} INVITEs were refused",
        admitted.posted.len(),
        admitted.taken().count(),
        admitted.refused()
    );
    assert_eq!(refused, 0, "as {:?}", posted.iter().find(|one| !is_taken(one)));
    let during = posted.iter().filter(|one| one.left >= away && one.left < back);
    until("a CDR of every call", COMPLETE_WITHIN, || admitted.all_in(&http.items("/v1/cdrs")).then_some(()));
    until("no call is live", COMPLETE_WITHIN, || http.items("/v1/calls").iter().all(is_final).then_some(()));
    let rows = http.items("/v1/cdrs");
    admitted.assert_each_once(&rows);
    let postgres = postgres.unwrap();
    until("the rows are in PostgreSQL", COMPLETE_WITHIN, || {
        (postgres.number("SELECT count(*) FROM cdrs") == rows.len() as u64).then_some(())
    });
    println!("{} CDRs, each once", rows.len());
    until("every event is told", COMPLETE_WITHIN, || untold(&rows, &hooks).is_empty().then_some(()));
    assert_only_of_calls(&rows, &hooks);
    println!("{} events told, each under one id", hooks.taken().len());
    let by_sid: BTreeMap<String, Value> =
        rows.into_iter().map(|row| (row["sid"].as_str().unwrap().to_owned(), row)).collect();
    report("before", &posted.iter().filter(|one| one.left < away).collect::<Vec<_>>(), &by_sid);
    report("during", &during.collect::<Vec<_>>(), &by_sid);
    // In this order: the folder goes last.
    drop((switch, carrier, postgres, setup));
}
