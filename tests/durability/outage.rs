//! The database killed for a while under load: calls go on as before, `/health` says so, and afterwards every one of them
//! has its row.
//!
//! `OUTAGE_S` is how many seconds (2), before it as many with the database; `OUTAGE_CALLS_A_SECOND` by each of the two
//! ways (10).

use crate::admitted::Admitted;
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

/// What a part of the run looked like: the POSTs that left in it, and the set-up of their calls, from admission to the
/// carrier's 180 as their CDRs have it.
fn report(part: &str, posted: &[&Posted], rows: &BTreeMap<String, Value>) {
    let ringing = |one: &&Posted| {
        let sid = one.reply.as_ref()?.body["sid"].as_str()?;
        rows.get(sid)?["pdd_ms"].as_f64()
    };
    println!("{part}: POST to 201 {}", spread(posted.iter().map(|one| one.took.as_secs_f64() * 1e3)));
    println!("{part}: INVITE to 180 (which comes after 20 ms) {}", spread(posted.iter().filter_map(ringing)));
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
        let (enough, began) = (scene.clients.admitted() as u64 + seconds * rate / 2, Instant::now());
        until("calls are taken", SAID_WITHIN + 4 * secs(seconds), || {
            (began.elapsed() >= secs(seconds) && scene.clients.admitted() as u64 >= enough).then_some(())
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

    let Scene { switch, http, postgres, clients, caller, carrier, setup, .. } = scene;
    let mut posted = clients.stop();
    let admitted = Admitted::new(posted.clone(), caller.stop().answers);
    posted.retain(|one| one.left >= ready);
    let is_taken = |one: &&Posted| one.reply.as_ref().is_some_and(|reply| reply.status == 201);
    let refused = posted.iter().filter(|one| !is_taken(one)).count();
    println!(
        "{} POSTs were answered 201, {} INVITEs with more than a 100; {refused} POSTs were refused",
        admitted.posted.len(),
        admitted.taken().count()
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
    let by_sid: BTreeMap<String, Value> =
        rows.into_iter().map(|row| (row["sid"].as_str().unwrap().to_owned(), row)).collect();
    report("before", &posted.iter().filter(|one| one.left < away).collect::<Vec<_>>(), &by_sid);
    report("during", &during.collect::<Vec<_>>(), &by_sid);
    // In this order: the folder goes last.
    drop((switch, carrier, postgres, setup));
}
