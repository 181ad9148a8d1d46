//! `kill -9` of the switch at random moments under load, its database killed at others: afterwards every call that was
//! admitted (each 201, each INVITE that was answered with more than a 100) has one CDR, and every event that its status
//! callback is owed has arrived, under one id.
//!
//! `CRASHES` is how often (3), `CALLS_A_SECOND` how many come by each of the two ways (10), `CRASH_SEED` which moments.

use crate::admitted::{Admitted, assert_only_of_calls, caller_of, untold};
use crate::common::http::is_final;
use crate::common::until;
use crate::scene::Scene;
use crate::{COMPLETE_WITHIN, alone, setting};
use base::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

impl Scene {
    /// A start, calls, and a kill; somewhere in between the database goes, and comes back before or after the kill.
    fn crash(&mut self, rng: &mut Rng) {
        self.start_switch();
        self.calls_go_on(rng);
        let goes = rng.u64().is_multiple_of(2);
        if goes {
            self.kill_database();
            self.calls_go_on(rng);
            if rng.u64().is_multiple_of(2) {
                self.start_database();
                self.calls_go_on(rng);
            }
        }
        if rng.u64().is_multiple_of(2) {
            self.a_call_is_answered();
        } else {
            // Anywhere in the work on a call, and not only behind an answer.
            std::thread::sleep(Duration::from_micros(rng.u64() % 50_000));
        }
        self.kill_switch();
        if !self.database_up && rng.u64().is_multiple_of(2) {
            // It starts without it too, takes calls, and is killed before it has ever seen it.
            self.starts_without += 1;
            self.start_switch();
            self.calls_go_on(rng);
            self.kill_switch();
        }
        self.start_database();
    }
}

#[test]
fn killed_at_random_moments_with_its_database_it_books_every_admitted_call_once_and_tells_every_event() {
    let _alone = alone();
    let (kills, rate, seed) = (setting("CRASHES", 3), setting("CALLS_A_SECOND", 10), setting("CRASH_SEED", 1));
    let mut seeded = [0; 32];
    seeded[..8].copy_from_slice(&seed.to_le_bytes());
    let mut rng = Rng::from_seed(seeded);
    println!("CRASHES={kills} CALLS_A_SECOND={rate} CRASH_SEED={seed}");
    let mut scene = Scene::new(rate);
    for _ in 0..kills {
        scene.crash(&mut rng);
    }
    scene.start_switch();
    scene.calls_go_on(&mut rng);
    println!("the database was killed {} times; {} starts were without it", scene.database_kills, scene.starts_without);
    let Scene { switch, http, postgres, clients, caller, hooks, carrier, slowest_start, setup, .. } = scene;
    let posted = clients.stop();
    let found = caller.stop();
    let admitted = Admitted::new(posted, found.answers);
    let (posted, taken) = (admitted.posted.len(), admitted.taken().count());
    println!(
        "{posted} POSTs were answered 201, {taken} INVITEs with more than a 100, {} were refused; {} POSTs broke off",
        admitted.refused(),
        admitted.unknown.len()
    );

    let mut rows = Vec::new();
    let began = Instant::now();
    while !admitted.all_in(&rows) {
        rows = http.items("/v1/cdrs");
        let missing = admitted.missing_in(&rows);
        assert!(began.elapsed() < COMPLETE_WITHIN, "{} have no CDR, as {:?}", missing.len(), missing.first());
    }
    until("no call is live", COMPLETE_WITHIN, || http.items("/v1/calls").iter().all(is_final).then_some(()));
    rows = http.items("/v1/cdrs");
    admitted.assert_each_once(&rows);
    let interrupted = rows.iter().filter(|row| row["cause"]["origin"] == "interrupted").count();
    println!(
        "{} CDRs, {interrupted} of them interrupted, {} of calls that nobody was told of",
        rows.len(),
        rows.len() - posted - taken
    );
    let lost: BTreeSet<&str> =
        rows.iter().filter(|row| row["cause"]["origin"] == "interrupted").filter_map(caller_of).collect();
    let wrong: Vec<_> =
        found.byes.iter().filter(|(from, status)| lost.contains(from.as_str()) && **status != 481).collect();
    assert!(wrong.is_empty(), "a BYE in a dialog that a kill has ended is not answered 481: {wrong:?}");
    println!(
        "{} BYEs in dialogs of dead switches, each answered 481",
        found.byes.values().filter(|status| **status == 481).count()
    );
    if let Some(postgres) = &postgres {
        until("the rows are in PostgreSQL", COMPLETE_WITHIN, || {
            (postgres.number("SELECT count(*) FROM cdrs") == rows.len() as u64).then_some(())
        });
        assert_eq!(postgres.number("SELECT count(DISTINCT sid) FROM cdrs"), rows.len() as u64);
    }
    until("every event is told", COMPLETE_WITHIN, || untold(&rows, &hooks).is_empty().then_some(()));
    assert_only_of_calls(&rows, &hooks);
    let told = hooks.taken();
    let again = told.values().flat_map(BTreeMap::values).filter(|times| **times > 1).count();
    println!(
        "{} events told, each under one id; {} refused once, {again} taken more than once; slowest start {:.1} s",
        told.len(),
        hooks.refused(),
        slowest_start.as_secs_f64()
    );
    // In this order: the folder goes last.
    drop((switch, carrier, postgres, setup));
}
