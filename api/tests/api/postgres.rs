//! A PostgreSQL of the tests' own: made in a temporary directory, on a free port of loopback, gone when the tests are.
//!
//! `TANDEM_TEST_POSTGRES=postgres://…` names another in its place. Where there are no binaries of PostgreSQL, the tests
//! of the store run on SQLite alone, and say so.

use crate::support::PATIENCE;
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

/// Makes a cluster, serves it until its standard input is closed (the tests have ended, however they did), removes it.
const SERVE: &str = r#"
    dir=$(mktemp -d) && cd "$dir" || exit 1
    "$BIN/initdb" -D data -U postgres -A trust --no-sync -E UTF8 >initdb.log 2>&1 || { cat initdb.log >&2; exit 1; }
    "$BIN/postgres" -D data -p "$PORT" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off \
        -c max_connections=300 >postgres.log 2>&1 &
    cat >/dev/null
    kill -INT $! && wait
    cd / && rm -rf "$dir"
"#;

/// The URL of the server's first database; `None` where there is no PostgreSQL here.
pub async fn url() -> Option<String> {
    static SERVER: OnceLock<Option<(String, Child)>> = OnceLock::new();
    if let Ok(url) = std::env::var("TANDEM_TEST_POSTGRES") {
        return Some(url);
    }
    let (url, _) = SERVER.get_or_init(start).as_ref()?;
    let began = Instant::now();
    while let Err(error) = sqlx::PgPool::connect(url).await {
        assert!(began.elapsed() < PATIENCE, "PostgreSQL does not start: {error}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Some(url.clone())
}

fn start() -> Option<(String, Child)> {
    let Some(bin) = binaries() else {
        let told = "LEFT OUT: no /usr/lib/postgresql/*/bin here; the tests of the store run on SQLite alone\n";
        // Not by a macro: what a passing test prints by those is not shown.
        let _ = std::io::stderr().write_all(told.as_bytes());
        return None;
    };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // It refuses to run as root.
    let root = rustix::process::geteuid().is_root();
    let mut command = Command::new(if root { "runuser" } else { "sh" });
    if root {
        command.args(["-u", "postgres", "--", "sh"]);
    }
    command.args(["-c", SERVE]).env("BIN", bin).env("PORT", port.to_string()).current_dir("/");
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    Some((format!("postgres://postgres@127.0.0.1:{port}/postgres"), child))
}

fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let mut all: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    all.retain(|bin| bin.join("initdb").exists() && bin.join("postgres").exists());
    all.sort();
    all.pop()
}
