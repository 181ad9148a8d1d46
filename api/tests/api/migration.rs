//! A database of an earlier version comes up with its rows.

use crate::records;
use crate::support::{Board, databases, execute_text, number};
use serde_json::json;
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use std::path::Path;
use std::sync::Arc;
use switch::{CallView, Record};
use tempfile::TempDir;

/// A file of `migrations/`: its version, its name, its statements.
type File = (i64, String, String);

/// Every migration of the database that `url` names, in order.
fn files(url: &str) -> Vec<File> {
    let database = if url.starts_with("sqlite") { "sqlite" } else { "postgres" };
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(database);
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let (version, name) = path.file_stem().unwrap().to_str().unwrap().split_once('_').unwrap();
        (version.parse().unwrap(), name.replace('_', " "), std::fs::read_to_string(&path).unwrap())
    };
    let mut files: Vec<File> = std::fs::read_dir(dir).unwrap().map(file).collect();
    files.sort_unstable_by_key(|(version, ..)| *version);
    files
}

/// Brings a database to the schema of the last of these, as that version did.
async fn migrate(url: &str, files: &[File]) {
    let migration = |(version, name, sql): &File| {
        let sql = sqlx::AssertSqlSafe(sql.clone()).into_sql_str();
        Migration::new(*version, name.clone().into(), MigrationType::Simple, sql, false)
    };
    let migrator = Migrator::with_migrations(files.iter().map(migration).collect());
    if url.starts_with("sqlite") {
        let options: sqlx::sqlite::SqliteConnectOptions = url.parse().unwrap();
        let pool = sqlx::SqlitePool::connect_with(options.create_if_missing(true)).await.unwrap();
        migrator.run(&pool).await.unwrap();
        pool.close().await;
    } else {
        let pool = sqlx::PgPool::connect(url).await.unwrap();
        migrator.run(&pool).await.unwrap();
        pool.close().await;
    }
}

/// A row of each table that a version brought with it, as that version wrote it.
const ROWS: [(i64, &str, &str); 8] = [
    (1, "keys", "('hash', 'gone', 'read', 7)"),
    (4, "idempotency", "('gone', 'key', 'body', 'CA00000000000000000000000000000001', 7)"),
    (10, "flows", "('gone', 'flow', 1, 'digest', 7, '{}')"),
    (11, "recordings", "('RE1', 'CA1', 'gone', 1, 7, NULL, NULL, NULL, NULL, NULL)"),
    (20, "accounts", "('gone', 'AC1', 'sealed', 'sealed')"),
    (
        21,
        "deliveries",
        "('msg_1', 'gone', 'CA1', 1, 'call.ended', 'https://a.example', '{}', 7, 'dead', 9, 7, 'HTTP 500')",
    ),
    (30, "provisioned", "('user', 'gone', 'alice', '{}', NULL, 7, 7)"),
    (40, "locations", "('gone', 'alice', '[]')"),
];

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
        two_calls_of_version_1(&url).await;
        comes_up_and_goes_on(&url, dir).await;
    }
}

/// One call that has ended, and one that has not.
async fn two_calls_of_version_1(url: &str) {
    migrate(url, &files(url)[..1]).await;
    let mut end = records::ended(1, 4, 1_764_000_003_000);
    if let switch::Fact::Ended(cdr) = &mut end.fact {
        let cdr = Arc::make_mut(cdr);
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
    rows_of_version_1(url, &ended).await;
    rows_of_version_1(url, &[records::admitted(2, 1_764_000_009_000), records::ringing(2, 1, 1_764_000_009_500)]).await;
}

/// Both calls are there as they were, and there may be more.
async fn comes_up_and_goes_on(url: &str, dir: Arc<TempDir>) {
    let board = Board::open(dir, url, 64 << 20).await;
    assert_eq!(number(url, "SELECT count(*) FROM calls").await, 2);
    assert_eq!(number(url, "SELECT count(*) FROM cdrs").await, 1);
    assert_eq!(number(url, "SELECT count(*) FROM events").await, 7);
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
    assert_eq!(number(url, "SELECT count(*) FROM cdrs").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_any_version_comes_up_with_every_row_on_both_databases() {
    let (mut tried, mut expected) = (0, 0);
    for number_of in 1..=files("sqlite").len() {
        for (url, dir) in databases().await {
            let files = files(&url);
            expected = expected.max(files.len());
            two_calls_of_version_1(&url).await;
            let (here, last) = (&files[..number_of], files[number_of - 1].0);
            migrate(&url, here).await;
            let rows: Vec<_> = ROWS.iter().filter(|(since, ..)| *since <= last).collect();
            for (_, table, row) in &rows {
                // By name where a later version has more columns.
                let columns = if *table == "keys" { "(hash, tenant, scopes, created_at)" } else { "" };
                execute_text(&url, format!("INSERT INTO {table} {columns} VALUES {row}")).await;
            }
            api::Store::open(&url).await.unwrap().close().await;
            assert_eq!(number(&url, "SELECT count(*) FROM _sqlx_migrations").await, files.len() as i64, "{url}");
            for (_, table, _) in rows {
                let statement = format!("SELECT count(*) FROM {table}");
                assert_eq!(number(&url, statement.leak()).await, 1, "{table} of version {last}, {url}");
                // What is nobody's would be in the way of what follows.
                execute_text(&url, format!("DELETE FROM {table}")).await;
            }
            comes_up_and_goes_on(&url, dir).await;
            tried += 1;
        }
    }
    assert!(tried >= expected, "{tried} of {expected} versions");
}
