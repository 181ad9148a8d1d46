//! A database of an earlier version comes up with its rows.

use crate::records;
use crate::support::{Board, databases, execute_text, number};
use serde_json::json;
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use switch::{CallView, Record};

/// The schema of version 1, made as version 1 made it.
async fn version_1(url: &str) {
    let migrator = |sql: &'static str| {
        let sql = sqlx::SqlStr::from_static(sql).into_sql_str();
        Migrator::with_migrations(vec![Migration::new(1, "calls".into(), MigrationType::Simple, sql, false)])
    };
    if url.starts_with("sqlite") {
        let options: sqlx::sqlite::SqliteConnectOptions = url.parse().unwrap();
        let pool = sqlx::SqlitePool::connect_with(options.create_if_missing(true)).await.unwrap();
        migrator(include_str!("../../../migrations/sqlite/0001_calls.sql")).run(&pool).await.unwrap();
        pool.close().await;
    } else {
        let pool = sqlx::PgPool::connect(url).await.unwrap();
        migrator(include_str!("../../../migrations/postgres/0001_calls.sql")).run(&pool).await.unwrap();
        pool.close().await;
    }
}

/// Writes the rows that version 1 had for a call with these facts.
async fn rows_of_version_1(url: &str, facts: &[Record]) {
    let text = |value: &str| format!("'{}'", value.replace('\'', "''"));
    let mut view = CallView::admitted(&facts[0]).unwrap();
    for record in facts {
        view.apply(record);
        let fact = serde_json::to_value(record).unwrap();
        let (kind, data) = (fact["type"].as_str().unwrap(), text(&fact["data"].to_string()));
        let (sid, seq, at) = (record.sid, record.seq, record.at);
        execute_text(url, format!("INSERT INTO events VALUES ('{sid}', {seq}, {at}, '{kind}', {data})")).await;
    }
    let (sid, at, status) = (view.sid, view.at.queued, view.status.as_str());
    let (json, seq) = (text(&serde_json::to_string(&view).unwrap()), view.last_seq);
    let row = format!(
        "'{sid}', 'default', 'outbound-api', '{}', '{}', NULL, '{status}', {at}, {seq}, {json}",
        view.from, view.to
    );
    execute_text(url, format!("INSERT INTO calls VALUES ({row})")).await;
    if let Some(cdr) = &view.cdr {
        let json = text(&serde_json::to_string(cdr).unwrap());
        let retry = if url.starts_with("sqlite") { "0" } else { "false" };
        let columns = format!(
            "(sid, tenant, direction, from_number, to_number, status, queued_at, ended_at, billable_ms, duration_ms, q850,
              origin, retry, reason, received_packets, received_lost, received_loss_percent, received_jitter_ms,
              sent_packets, sent_lost, sent_loss_percent, sent_jitter_ms, cdr) VALUES
             ('{sid}', 'default', 'outbound-api', '{}', '{}', '{status}', {at}, {}, 1000, 2000, 16,
              'callee', {retry}, 'OK', 50, 1, 2.0, 0.5, 50, 0, 0, 0, {json})",
            cdr.from,
            cdr.to,
            cdr.at.ended.unwrap()
        );
        execute_text(url, format!("INSERT INTO cdrs {columns}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_version_1_comes_up_with_every_call_fact_and_cdr() {
    for (url, dir) in databases().await {
        version_1(&url).await;
        let mut end = records::ended(1, 4, 1_764_000_003_000);
        if let switch::Fact::Ended(cdr) = &mut end.fact {
            let cdr = std::sync::Arc::make_mut(cdr);
            cdr.at.queued = 1_764_000_000_000;
            cdr.cause.reason = "it's \u{0}".into();
        }
        let ended = [
            records::admitted(1, 1_764_000_000_000),
            records::message(1, 1, 1_764_000_000_001),
            records::record(1, 2, 1_764_000_000_002, switch::Fact::Held),
            records::answered(1, 3, 1_764_000_001_000),
            end,
        ];
        rows_of_version_1(&url, &ended).await;
        rows_of_version_1(&url, &[records::admitted(2, 1_764_000_009_000), records::ringing(2, 1, 1_764_000_009_500)])
            .await;
        let board = Board::open(dir, &url, 64 << 20).await;
        assert_eq!(number(&url, "SELECT count(*) FROM calls").await, 2);
        assert_eq!(number(&url, "SELECT count(*) FROM cdrs").await, 1);
        assert_eq!(number(&url, "SELECT count(*) FROM events").await, 7);
        let (first, second) = (records::sid(1), records::sid(2));
        let call = board.get(&format!("/v1/calls/{first}")).await.json();
        assert_eq!(
            (&call["status"], &call["answer"][0]["play"], &call["cause"]["reason"], &call["received"]["mos"]),
            (&json!("completed"), &json!("welcome"), &json!("it's \u{0}"), &json!(4.3))
        );
        assert_eq!(board.get(&format!("/v1/calls/{second}")).await.json()["status"], "ringing");
        assert_eq!(board.get("/v1/calls").await.sids(), [second.to_string(), first.to_string()]);
        assert_eq!(board.get("/v1/cdrs").await.sids(), [first.to_string()]);
        let kinds = |list: serde_json::Value| -> Vec<String> {
            list["items"].as_array().unwrap().iter().map(|item| item["type"].to_string()).collect()
        };
        let events = board.get(&format!("/v1/calls/{first}/events")).await.json();
        assert_eq!(events["items"][3]["data"]["cause"]["reason"], "it's \u{0}");
        assert_eq!(kinds(events), ["\"admitted\"", "\"held\"", "\"answered\"", "\"ended\""]);
        let ladder = board.get(&format!("/v1/calls/{first}/ladder")).await.json();
        assert_eq!(ladder["items"].as_array().unwrap().len(), 1);
        // And it goes on from there.
        let sid = board.call().await;
        board.completes(sid);
        board.settle().await;
        assert_eq!(number(&url, "SELECT count(*) FROM cdrs").await, 2);
    }
}
