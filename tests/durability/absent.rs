//! A start without its database: calls are taken as before, what only the database knows is answered 503, and all is as it
//! was once it comes, without another start.

use crate::admitted::caller_of;
use crate::common::caller::Caller;
use crate::common::carrier::Carrier;
use crate::common::http::{Http, is_final};
use crate::common::ports::Ports;
use crate::common::postgres::Postgres;
use crate::common::switch::{CALLED, KEY, OWNED, Setup};
use crate::common::{secs, until};
use crate::scene::start;
use crate::{COMPLETE_WITHIN, alone};
use serde_json::{Value, json};
use std::time::Duration;

/// Until `/health` says how the database is, and until what it knows is in force.
const SAID_WITHIN: Duration = secs(120);
/// Until a call has ended.
const CALL_WITHIN: Duration = secs(120);
/// A number that is made over HTTP, and one that the file names only when it is read again.
const MADE: &str = "+18325550177";
const NAMED: &str = "+18325550188";

/// A call that plays a digit and hangs up.
fn call() -> Value {
    json!({ "from": OWNED, "to": CALLED, "answer": { "play": "digit-1" } })
}

/// Places calls until one comes to this status: on a busy machine the carrier turns some away with 503.
pub fn one_is(http: &Http, call: &Value, status: &str) -> String {
    until(&format!("a call is {status}"), CALL_WITHIN, || {
        let sid = http.place(call);
        let call = until("it is, or is over", CALL_WITHIN, || {
            Some(http.call(&sid)).filter(|call| is_final(call) || call["status"] == status)
        });
        (call["status"] == status).then_some(sid)
    })
}

/// Waits until `/health` says this of the whole and of the database; calls can be made all the while.
fn says(http: &Http, status: &str, database: &str) {
    until(&format!("/health: {status}, the database {database}"), SAID_WITHIN, || {
        let health = http.get("/health");
        assert_eq!(health.status, 200, "calls can be made: {health:?}");
        (health.body["status"] == status && health.body["database"]["status"] == database).then_some(())
    });
}

/// POSTs a call with an `Idempotency-Key`: status, and sid or code.
fn keyed(http: &Http, key: &str) -> (u16, String) {
    let reply = http.post_keyed("/v1/calls", &call(), key);
    let said = if reply.status == 201 { &reply.body["sid"] } else { &reply.body["code"] };
    (reply.status, said.as_str().unwrap_or_default().to_owned())
}

/// A switch on PostgreSQL, its carrier, and a number that answers `menu`.
fn scene(ports: &mut Ports, postgres: &Postgres) -> (Setup, Carrier, Http) {
    let setup = Setup::new();
    let carrier = Carrier::start(setup.dir(), ports, 20, "ring 50ms, answer 100ms", &[]);
    let setup = setup
        .trunk("carrier", "generic", carrier.port, "")
        .section("[[number]]\nnumber = \"menu\"\ntenant = \"default\"\nanswer = { play = \"digit-1\" }");
    let text = setup.text().replace("sqlite://tandem.db", &postgres.url());
    std::fs::write(setup.dir().join("tandem.toml"), text).unwrap();
    let http = Http::new(setup.http_port, KEY);
    (setup, carrier, http)
}

/// Has a number answer one INVITE, whoever sends it.
fn one_call_comes(setup: &Setup) -> String {
    let caller = Caller::start(setup.sip_port, "menu", secs(1));
    until("an INVITE is answered", CALL_WITHIN, || (caller.taken() > 0).then_some(()));
    let answers = caller.stop().answers;
    answers.into_iter().find(|(_, status)| (101..300).contains(status)).map(|(from, _)| from).unwrap()
}

#[test]
fn a_start_without_the_database_takes_calls_and_knows_everything_once_it_comes() {
    let _alone = alone();
    let mut ports = Ports::lease();
    let Some(mut postgres) = Postgres::start(&mut ports) else { return };
    let (setup, carrier, http) = scene(&mut ports, &postgres);

    let mut switch = start(&setup, &http);
    says(&http, "healthy", "connected");
    let tenant = json!({ "name": "late", "limits": { "minutes_per_day": 60 } });
    assert_eq!(http.post("/v1/tenants", &tenant).status, 201);
    assert_eq!(http.post("/v1/numbers", &json!({ "number": MADE })).status, 201);
    let made = http.post("/v1/keys", &json!({ "scope": "calls" }));
    assert_eq!(made.status, 201, "{made:?}");
    let other = http.with_key(made.body["key"].as_str().unwrap());
    let (status, before) = keyed(&http, "before");
    assert_eq!(status, 201, "{before}");
    http.ended(&before, CALL_WITHIN);
    let events = http.events(&before);
    let long = json!({ "from": OWNED, "to": CALLED, "answer": { "play": "hold-music", "loop": 0 } });
    let live = one_is(&http, &long, "in-progress");

    postgres.kill();
    switch.kill();
    let switch = start(&setup, &http);
    says(&http, "degraded", "disconnected");
    assert!(http.get("/health").body["database"]["detail"].is_string());
    let during = one_is(&http, &call(), "completed");
    let caller = one_call_comes(&setup);
    assert_eq!(http.get("/v1/trunks/carrier").status, 200, "the file names it");
    let unknown = json!({ "from": MADE, "to": CALLED, "answer": { "play": "digit-1" } });
    for reply in [
        http.get("/v1/cdrs"),
        http.get("/v1/keys"),
        http.get("/v1/tenants"),
        http.get("/v1/tenants/late"),
        other.get("/v1/calls"),
        http.post("/v1/tenants", &tenant),
        http.post("/v1/calls", &unknown),
    ] {
        assert_eq!((reply.status, reply.code()), (503, "database_unavailable"), "{reply:?}");
    }
    assert_eq!(keyed(&http, "during"), (503, "database_unavailable".to_owned()), "it may have been used before");

    let file = setup.dir().join("tandem.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n[[number]]\nnumber = \"{NAMED}\"\ntenant = \"default\"\n")).unwrap();
    switch.reload();
    let named = json!({ "from": NAMED, "to": CALLED, "answer": { "play": "digit-1" } });
    until("the file is read again", SAID_WITHIN, || (http.post("/v1/calls", &named).status == 201).then_some(()));

    postgres.start_again();
    says(&http, "healthy", "connected");
    assert_eq!(http.get("/v1/tenants/late").status, 200);
    assert_eq!(keyed(&http, "before"), (201, before.clone()), "the same call");
    let after = one_is(&other, &unknown, "completed");
    let outbound = [&before, &live, &during, &after];
    let rows = until("a CDR of every call", COMPLETE_WITHIN, || {
        let rows = http.items("/v1/cdrs");
        let has = |sid: &String| rows.iter().any(|row| row["sid"] == sid.as_str());
        let all = outbound.into_iter().all(has) && rows.iter().any(|row| caller_of(row) == Some(&caller));
        all.then_some(rows)
    });
    let sids: std::collections::BTreeSet<&str> = rows.iter().filter_map(|row| row["sid"].as_str()).collect();
    assert_eq!(sids.len(), rows.len(), "each once: {rows:#?}");
    let of_live = rows.iter().find(|row| row["sid"] == live.as_str()).unwrap();
    assert_eq!(of_live["cause"]["origin"], "interrupted", "{of_live:#}");
    until("no call is live", COMPLETE_WITHIN, || http.items("/v1/calls").iter().all(is_final).then_some(()));
    assert_eq!(http.events(&before), events, "projected once");
    // In this order: the folder goes last.
    drop((switch, carrier, postgres, setup));
}

/// The very first start: no journal, and a database without a schema that is there only later.
#[test]
fn a_first_start_without_the_database_makes_its_schema_once_it_comes() {
    let _alone = alone();
    let mut ports = Ports::lease();
    let Some(mut postgres) = Postgres::start(&mut ports) else { return };
    let (setup, carrier, http) = scene(&mut ports, &postgres);
    postgres.kill();
    let switch = start(&setup, &http);
    says(&http, "degraded", "disconnected");
    let during = one_is(&http, &call(), "completed");
    postgres.start_again();
    says(&http, "healthy", "connected");
    until("its CDR", COMPLETE_WITHIN, || {
        http.items("/v1/cdrs").iter().any(|row| row["sid"] == during.as_str()).then_some(())
    });
    assert!(http.get("/v1/account").body["account_sid"].is_string());
    drop((switch, carrier, postgres, setup));
}
