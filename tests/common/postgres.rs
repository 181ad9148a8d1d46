//! A PostgreSQL of a test's own, which it may kill and start again: made in a temporary directory, on a port of the
//! test's lease, gone when the test is. No test needs it where there are no binaries of PostgreSQL.

use super::ports::Ports;
use super::{secs, until};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// From a start to the first answer, the recovery after a kill included.
const READY_WITHIN: Duration = secs(120);

/// Makes a cluster and serves it, does what it reads, and removes the cluster when its standard input is closed: the test
/// has ended, however it did. A kill takes every process of the server at once, as a machine that loses them would.
const SERVE: &str = r#"
    dir=$(mktemp -d) && cd "$dir" || exit 1
    "$BIN/initdb" -D data -U postgres -A trust --no-sync -E UTF8 >initdb.log 2>&1 || { cat initdb.log >&2; exit 1; }
    start() {
        "$BIN/postgres" -D data -p "$PORT" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
            -c max_connections=50 >>postgres.log 2>&1 &
        pid=$!
    }
    start
    while read -r word; do
        case $word in
            start) start ;;
            kill) kill -KILL $pid $(cat /proc/$pid/task/$pid/children); wait $pid ;;
        esac
    done
    kill -INT $pid && wait
    cd / && rm -rf "$dir"
"#;

/// A server, running or killed.
#[derive(Debug)]
pub struct Postgres {
    shell: Child,
    bin: PathBuf,
    port: u16,
}

impl Postgres {
    /// Makes one and waits until it answers; `None`, and said so, where there is no PostgreSQL here. With
    /// `POSTGRES_IS_WANTED` in the environment that is a failure: a bench of PostgreSQL shows nothing without one.
    pub fn start(ports: &mut Ports) -> Option<Self> {
        let Some(bin) = binaries() else {
            assert!(std::env::var_os("POSTGRES_IS_WANTED").is_none(), "no /usr/lib/postgresql/*/bin here");
            // Not by a macro: what a passing test prints by those is not shown.
            let told = "LEFT OUT: no /usr/lib/postgresql/*/bin here; SQLite stands in for PostgreSQL\n";
            let _ = std::io::stderr().write_all(told.as_bytes());
            return None;
        };
        let port = ports.port();
        // It refuses to run as root.
        let root = rustix::process::geteuid().is_root();
        let mut command = Command::new(if root { "runuser" } else { "sh" });
        if root {
            command.args(["-u", "postgres", "--", "sh"]);
        }
        command.args(["-c", SERVE]).env("BIN", &bin).env("PORT", port.to_string()).current_dir("/");
        let shell = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let server = Self { shell, bin, port };
        server.answers();
        Some(server)
    }

    /// `database.url` of its one database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// SIGKILL to all of it.
    pub fn kill(&mut self) {
        self.tell("kill");
        until("PostgreSQL is gone", secs(60), || (!self.is_up()).then_some(()));
    }

    /// Starts it again on what it left, and waits until it answers.
    pub fn start_again(&mut self) {
        self.tell("start");
        self.answers();
    }

    /// The one number that a statement selects.
    pub fn number(&self, statement: &str) -> u64 {
        let port = self.port.to_string();
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-Atc", statement]);
        let done = psql.output().unwrap();
        assert!(done.status.success(), "{statement}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().parse().unwrap()
    }

    fn tell(&mut self, word: &str) {
        writeln!(self.shell.stdin.as_mut().unwrap(), "{word}").unwrap();
    }

    fn answers(&self) {
        until("PostgreSQL answers", READY_WITHIN, || self.is_up().then_some(()));
    }

    fn is_up(&self) -> bool {
        let mut ask = Command::new(self.bin.join("pg_isready"));
        ask.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres"]);
        ask.status().is_ok_and(|status| status.success())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let mut all: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    all.retain(|bin| ["initdb", "postgres", "psql", "pg_isready"].iter().all(|name| bin.join(name).exists()));
    all.sort();
    all.pop()
}
