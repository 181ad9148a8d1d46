//! `POST /v1/calls` in an open loop: how long until the 201, and until the INVITE is on the wire; and the peak rate of a
//! hundred clients that wait for their answers. CDRs, events and SQLite are on, `[limits]` and the trunk's are lifted, the
//! carrier answers 486. The switch has core 1 to itself; clients and carrier, this program, have core 0.
//!
//!   cargo bench --bench originate -- RATE [SECONDS [PEAK_SECONDS]]      1,250 calls a second; 20 s of them, then 10 s
//!
//! Without a rate, as where `cargo bench` runs every bench there is, it says so and does nothing.
//!
//! A call is due at its time, whatever became of those before it, and every latency counts from then: a switch that stalls
//! for a second is seen to stall by each call of that second. The INVITE's time is the kernel's, when the datagram came to
//! the carrier's socket. `TANDEM` names another program under test, `OUT` where the figures go as JSON. Ends with 1 where a
//! goal is missed.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic)] // a bench may fail, loudly, and prints what it found

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::io::{IoSliceMut, Write as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const KEY: &str = "the-bootstrap-key-of-the-bench-0123456789";
/// Of the 201, and of the INVITE, at the 99th of a hundred.
const GOALS_MS: (f64, f64) = (20.0, 5.0);
/// Seconds of the same load before it counts.
const WARM: u64 = 5;
/// Clients of the closed loop.
const CLIENTS: usize = 100;
/// Connections at the same time. Where all are waiting for an answer, the call that is due has failed.
const CONNECTIONS: u64 = 1_500;
/// A connection is not used again that has been silent so long: the switch closes it after 10 s.
const IDLE: Duration = Duration::from_secs(5);
/// A request's longest time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Nanoseconds since the Unix epoch: the clock that the kernel stamps datagrams by.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// The carrier: when the INVITE of each call came, by the call's number; 0 where none has.
#[derive(Clone)]
struct Carrier {
    port: u16,
    came: Arc<Vec<AtomicU64>>,
    again: Arc<AtomicU64>,
}

impl Carrier {
    fn start(calls: usize) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true).unwrap();
        setsockopt(&socket, sockopt::RcvBuf, &(8 << 20)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let came = Arc::new((0..calls).map(|_| AtomicU64::new(0)).collect());
        let carrier = Self { port, came, again: Arc::default() };
        let own = carrier.clone();
        std::thread::spawn(move || own.run(&socket));
        carrier
    }

    fn run(&self, socket: &UdpSocket) {
        let (mut buffer, mut space) = ([0; 4_096], nix::cmsg_space!(nix::sys::time::TimeSpec));
        loop {
            let mut parts = [IoSliceMut::new(&mut buffer)];
            let got = recvmsg::<nix::sys::socket::SockaddrIn>(
                socket.as_raw_fd(),
                &mut parts,
                Some(&mut space),
                MsgFlags::empty(),
            );
            let got = got.unwrap();
            let stamp = got.cmsgs().unwrap().find_map(|message| match message {
                ControlMessageOwned::ScmTimestampns(at) => {
                    Some(at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64)
                }
                _ => None,
            });
            let (length, from) = (got.bytes, got.address.unwrap());
            let text = std::str::from_utf8(&buffer[..length]).unwrap_or_default();
            if let Some(rest) = text.strip_prefix("INVITE sip:+1832") {
                let nth = rest.get(..7).and_then(|digits| digits.parse::<usize>().ok()).unwrap() - FIRST;
                let first = self.came[nth].compare_exchange(0, stamp.unwrap(), Ordering::Relaxed, Ordering::Relaxed);
                self.again.fetch_add(u64::from(first.is_err()), Ordering::Relaxed);
                let to = SocketAddr::from((from.ip(), from.port()));
                socket.send_to(refusal(text).as_bytes(), to).unwrap();
            }
        }
    }
}

/// The numbers that are called begin here: seven digits behind the area code.
const FIRST: usize = 2_000_000;

/// 486 to an INVITE (RFC 3261 §8.2.6).
fn refusal(invite: &str) -> String {
    let mut answer = "SIP/2.0 486 Busy Here\r\n".to_owned();
    for line in invite.lines().take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default();
        if ["Via", "From", "Call-ID", "CSeq"].contains(&name) {
            answer += &format!("{line}\r\n");
        } else if name == "To" {
            answer += &format!("{line};tag=busy\r\n");
        }
    }
    answer + "Content-Length: 0\r\n\r\n"
}

/// The switch, on a core of its own.
struct Switch {
    process: Child,
    http: SocketAddr,
    dir: tempfile::TempDir,
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start_switch(carrier: u16) -> Switch {
    let dir = tempfile::tempdir().unwrap();
    let (http, sip, path) = (free_port(), free_port(), dir.path().display());
    let config = format!(
        "[http]\nlisten = \"127.0.0.1:{http}\"\n[api]\nbootstrap_key = \"{KEY}\"\n\
         [database]\nurl = \"sqlite://{path}/tandem.db\"\n[journal]\ndir = \"{path}/journal\"\n\
         [secrets]\nkey_file = \"{path}/tandem.key\"\n[recordings]\ndir = \"{path}/recordings\"\n\
         [sip]\nlisten = [\"udp://127.0.0.1:{sip}\"]\n[media]\nports = \"10000-31999\"\nthreads = 1\n\
         [limits]\napi_requests_per_minute = 10000000\ncalls_per_second = 1000000\nconcurrent_calls = 1000000\n\
         [[tenant]]\nname = \"default\"\n\
         [[trunk]]\nname = \"far\"\nprofile = \"generic\"\nuri = \"sip:127.0.0.1:{carrier}\"\n\
         max_cps = 100000\nmax_calls = 1000000\naccept_from = [\"127.0.0.1/32\"]\nmedia_from = [\"127.0.0.1/32\"]\n\
         [[number]]\nnumber = \"+18325550100\"\ntenant = \"default\"\nanswer = {{ play = \"welcome\" }}\n"
    );
    let file = dir.path().join("tandem.toml");
    std::fs::write(&file, config).unwrap();
    let tandem = std::env::var("TANDEM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_tandem").to_owned());
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let mut command = Command::new("taskset");
    command.args(["-c", "1", &tandem, "serve", "--config"]).arg(&file).env("TANDEM_LOG", "warn");
    let process = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    Switch { process, http: ([127, 0, 0, 1], http).into(), dir }
}

/// A connection to the API, kept open.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    used: Instant,
}

impl Connection {
    async fn open(http: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(http).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4_096), used: Instant::now() })
    }

    /// One request and its answer: the status and the body.
    async fn ask(&mut self, request: &str) -> std::io::Result<(u16, Vec<u8>)> {
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if self.buffer.len() >= end + 4 + length {
                self.used = Instant::now();
                return Ok((head[9..12].parse().unwrap(), self.buffer[end + 4..].to_vec()));
            }
        }
    }
}

/// The request for call `nth`.
fn request(nth: usize) -> String {
    let to = FIRST + nth;
    let body = format!(r#"{{"from":"+18325550100","to":"+1832{to:07}","answer":{{"play":"welcome"}}}}"#);
    format!(
        "POST /v1/calls HTTP/1.1\r\nhost: tandem\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What became of the requests: of each its number, when it was due, when it left, when its answer was there, and what.
#[derive(Clone, Copy)]
struct Done {
    nth: usize,
    due: u64,
    left: u64,
    answered: u64,
    status: u16,
}

/// The connections that nobody waits at, and how many there are.
#[derive(Default)]
struct Pool {
    idle: Mutex<Vec<Connection>>,
    open: AtomicU64,
}

impl Pool {
    /// A connection that the switch has not closed for having been silent.
    fn idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap();
        let all = idle.len();
        idle.retain(|connection| connection.used.elapsed() < IDLE);
        self.open.fetch_sub((all - idle.len()) as u64, Ordering::Relaxed);
        idle.pop()
    }
}

async fn one(http: SocketAddr, pool: &Pool, nth: usize, due: u64) -> Done {
    let left = now();
    let asked = async {
        let idle = pool.idle();
        let mut connection = match idle {
            Some(connection) => connection,
            None if pool.open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS => {
                return Err(std::io::Error::other("every connection waits"));
            }
            None => Connection::open(http).await?,
        };
        let (status, _) = connection.ask(&request(nth)).await?;
        pool.idle.lock().unwrap().push(connection);
        Ok(status)
    };
    let status = tokio::time::timeout(PATIENCE, asked).await.map_or(0, |asked| asked.unwrap_or(0));
    Done { nth, due, left, answered: now(), status }
}

/// `rate` calls a second from number `first` on, each started when it is due.
async fn open_loop(http: SocketAddr, pool: &Arc<Pool>, first: usize, rate: u64, seconds: u64) -> Vec<Done> {
    let (due_calls, mut due) = tokio::sync::mpsc::unbounded_channel();
    // In a thread of its own: the runtime's timer counts in whole milliseconds.
    std::thread::spawn(move || {
        let (began, began_at) = (Instant::now(), now());
        for n in 0..rate * seconds {
            let after = Duration::from_nanos(n * 1_000_000_000 / rate);
            std::thread::sleep((began + after).saturating_duration_since(Instant::now()));
            let _ = due_calls.send((first + n as usize, began_at + after.as_nanos() as u64));
        }
    });
    let mut calls = tokio::task::JoinSet::new();
    while let Some((nth, due)) = due.recv().await {
        let pool = Arc::clone(pool);
        calls.spawn(async move { one(http, &pool, nth, due).await });
    }
    calls.join_all().await
}

/// [`CLIENTS`] that each ask again as soon as they are answered.
async fn closed_loop(http: SocketAddr, first: usize, seconds: u64) -> Vec<Done> {
    let (next, until) = (Arc::new(AtomicU64::new(first as u64)), now() + seconds * 1_000_000_000);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let next = Arc::clone(&next);
        clients.spawn(async move {
            let (pool, mut all) = (Pool::default(), Vec::new());
            while now() < until {
                all.push(one(http, &pool, next.fetch_add(1, Ordering::Relaxed) as usize, now()).await);
            }
            all
        });
    }
    clients.join_all().await.concat()
}

/// Milliseconds below which `share` of them lie.
fn quantile(sorted: &[u64], share: f64) -> f64 {
    let at = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len()) - 1;
    sorted[at] as f64 / 1e6
}

/// p50, p99 and the greatest of these, in milliseconds.
fn spread(of: impl Iterator<Item = u64>) -> Value {
    let mut all: Vec<u64> = of.collect();
    all.sort_unstable();
    assert!(!all.is_empty(), "nothing was measured");
    json!({ "p50_ms": quantile(&all, 0.5), "p99_ms": quantile(&all, 0.99), "max_ms": quantile(&all, 1.0) })
}

/// Every CDR's sid, once the last call has ended.
async fn cdrs(http: SocketAddr, calls: usize) -> usize {
    let began = Instant::now();
    loop {
        let (mut sids, mut cursor, mut rows) = (HashSet::new(), String::new(), 0);
        let mut connection = Connection::open(http).await.unwrap();
        loop {
            let path = format!("/v1/cdrs?limit=1000{cursor}");
            let ask = format!("GET {path} HTTP/1.1\r\nhost: tandem\r\nauthorization: Bearer {KEY}\r\n\r\n");
            let (status, body) = connection.ask(&ask).await.unwrap();
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
            let page: Value = serde_json::from_slice(&body).unwrap();
            let items = page["items"].as_array().unwrap();
            rows += items.len();
            sids.extend(items.iter().map(|item| item["sid"].as_str().unwrap().to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(sids.len(), rows, "a CDR is there twice");
        if rows >= calls || began.elapsed() > 4 * PATIENCE {
            return rows;
        }
    }
}

async fn ready(switch: &mut Switch) {
    let began = Instant::now();
    loop {
        if began.elapsed() > PATIENCE || switch.process.try_wait().unwrap().is_some() {
            panic!("the switch is not ready:\n{}", std::fs::read_to_string(switch.dir.path().join("log")).unwrap());
        }
        if let Ok(mut connection) = Connection::open(switch.http).await
            && let Ok((200, _)) = connection.ask("GET /readyz HTTP/1.1\r\nhost: tandem\r\n\r\n").await
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn line(name: &str, spread: &Value, goal: Option<f64>) -> bool {
    let figure = |key: &str| spread[key].as_f64().unwrap();
    let held = goal.is_none_or(|goal| figure("p99_ms") < goal);
    let verdict = match goal {
        Some(goal) => format!("   goal: p99 < {goal} ms: {}", if held { "held" } else { "MISSED" }),
        None => String::new(),
    };
    println!(
        "  {name:<34} p50 {:>8.2} ms   p99 {:>8.2} ms   max {:>8.2} ms{verdict}",
        figure("p50_ms"),
        figure("p99_ms"),
        figure("max_ms")
    );
    held
}

fn main() -> ExitCode {
    let words: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let Some(rate) = words.first().copied() else {
        println!("originate: left out; it wants both cores to itself: cargo bench --bench originate -- 1250 20 10");
        return ExitCode::SUCCESS;
    };
    let word = |n: usize, usual| words.get(n).copied().unwrap_or(usual);
    let (seconds, peak_seconds) = (word(1, 20), word(2, 10));
    let mut core = rustix::thread::CpuSet::new();
    core.set(0);
    rustix::thread::sched_setaffinity(None, &core).unwrap();
    let most = (rate * (WARM + seconds) + 20_000 * peak_seconds) as usize;
    let carrier = Carrier::start(most);
    let mut switch = start_switch(carrier.port);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(ready(&mut switch));

    let admitted = |of: &[Done]| of.iter().filter(|done| done.status == 201).count();
    let came = |done: &Done| carrier.came[done.nth].load(Ordering::Relaxed);
    let pool = Arc::new(Pool::default());
    let warm = runtime.block_on(open_loop(switch.http, &pool, 0, rate, WARM));
    let open = runtime.block_on(open_loop(switch.http, &pool, warm.len(), rate, seconds));
    // The last INVITEs may be on their way.
    let invites = || open.iter().filter(|done| came(done) > 0).count();
    let began = Instant::now();
    while invites() < admitted(&open) && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    let posts = spread(open.iter().map(|done| done.answered - done.due));
    let wire = spread(open.iter().filter(|done| came(done) > 0).map(|done| came(done).saturating_sub(done.due)));
    let late = spread(open.iter().map(|done| done.left.saturating_sub(done.due)));
    let (failed, missing) = (open.len() - admitted(&open), admitted(&open).saturating_sub(invites()));
    println!("open loop, {rate} POSTs a second for {seconds} s, carrier answering 486, CDRs, events and SQLite on");
    let mut held = line("POST due to 201", &posts, Some(GOALS_MS.0));
    held &= line("POST due to INVITE on the wire", &wire, Some(GOALS_MS.1));
    line("of that, the load itself was late", &late, None);
    let again = carrier.again.load(Ordering::Relaxed);
    println!("  {failed} of {} failed; {missing} admitted without an INVITE; {again} INVITEs sent again", open.len());
    let mut by_status = BTreeMap::new();
    open.iter().filter(|done| done.status != 201).for_each(|done| *by_status.entry(done.status).or_insert(0) += 1);
    if failed > 0 {
        println!("  by status (0: no answer), how many: {by_status:?}");
    }

    let closed = runtime.block_on(closed_loop(switch.http, warm.len() + open.len(), peak_seconds));
    let began = closed.iter().map(|done| done.due).min().unwrap();
    let ended = closed.iter().map(|done| done.answered).max().unwrap();
    let peak = admitted(&closed) as f64 / ((ended - began) as f64 / 1e9);
    let peak_posts = spread(closed.iter().map(|done| done.answered - done.due));
    let refused = closed.len() - admitted(&closed);
    println!("closed loop, {CLIENTS} clients for {peak_seconds} s");
    line("POST to 201", &peak_posts, None);
    println!("  {peak:.0} calls a second ({refused} of {} failed); quoted for FreeSWITCH: 245", closed.len());

    let all = admitted(&warm) + admitted(&open) + admitted(&closed);
    let rows = runtime.block_on(cdrs(switch.http, all));
    println!("books: {all} calls admitted, {rows} CDRs");
    held &= failed == 0 && missing == 0 && all == rows;
    let figures = json!({
        "schema": "tandem-originate/1", "rate": rate, "seconds": seconds,
        "post": posts, "invite": wire, "lateness": late, "failed": failed, "without_invite": missing,
        "peak": { "clients": CLIENTS, "per_second": peak, "post": peak_posts, "failed": refused },
        "admitted": all, "cdrs": rows, "goals_ms": { "post_p99": GOALS_MS.0, "invite_p99": GOALS_MS.1 }, "held": held,
    });
    if let Ok(out) = std::env::var("OUT") {
        let mut file = std::fs::File::create(Path::new(&out)).unwrap();
        writeln!(file, "{figures:#}").unwrap();
    }
    println!("{figures}");
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
