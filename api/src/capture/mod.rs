//! SIP messages as they were on the wire: kept for a while, so that one call's can be had as a pcap (`pcap`), and sent on to
//! a collector (`hep`).
//!
//! Signalling hands them over in batches and never waits: a batch that finds the way full is counted and gone. What is
//! secret of a message is made unreadable before it is kept or leaves, in place, so that its length is the true one: the
//! keys of SRTP and what answers a challenge.

mod hep;
mod pcap;

pub use pcap::pcap;

use bytes::Bytes;
use memchr::memmem;
use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Batches on their way; one more is dropped.
const BATCHES: usize = 256;

/// Octets that are counted for a kept message beside its own.
const OVERHEAD: usize = 128;

/// A SIP message that came or left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// When, milliseconds since the Unix epoch.
    pub at: u64,
    /// Over TCP, TLS or a WebSocket, and not UDP.
    pub stream: bool,
    /// From which address.
    pub from: SocketAddr,
    /// To which.
    pub to: SocketAddr,
    /// All of it.
    pub bytes: Bytes,
}

/// What becomes of messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureConfig {
    /// `capture.keep_mb`, in octets: how much of the newest is kept; 0: nothing.
    pub keep: usize,
    /// `hep.collector`: a host and a port, where everything is sent by UDP.
    pub collector: Option<String>,
    /// `hep.id`: which agent we are to the collector.
    pub agent: u32,
}

/// What is counted.
#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    dropped: AtomicU64,
}

/// What was captured. Cloning is cheap; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    kept: Option<Arc<Mutex<Kept>>>,
    counts: Arc<Counts>,
}

/// Signalling's way in.
#[derive(Clone, Debug)]
pub struct Feed {
    batches: SyncSender<Vec<Message>>,
    counts: Arc<Counts>,
}

impl Feed {
    /// Hands messages over; where nobody keeps up they are dropped, and counted.
    pub fn offer(&self, batch: Vec<Message>) {
        let messages = batch.len() as u64;
        if self.batches.try_send(batch).is_err() {
            self.counts.dropped.fetch_add(messages, Ordering::Relaxed);
        }
    }
}

/// The newest messages, so many octets of them.
#[derive(Debug, Default)]
struct Kept {
    most: usize,
    octets: usize,
    messages: VecDeque<(Message, Bytes)>,
}

impl Kept {
    fn keep(&mut self, message: Message) {
        let call_id = message.bytes.slice_ref(call_id(&message.bytes));
        self.octets += message.bytes.len() + OVERHEAD;
        self.messages.push_back((message, call_id));
        while self.octets > self.most
            && let Some((oldest, _)) = self.messages.pop_front()
        {
            self.octets -= oldest.bytes.len() + OVERHEAD;
        }
    }
}

impl Capture {
    /// Begins to take messages as `config` wants it; none where it wants nothing of them. Its thread ends with the feed.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(config: &CaptureConfig) -> std::io::Result<(Self, Option<Feed>)> {
        if config.keep == 0 && config.collector.is_none() {
            return Ok((Self::default(), None));
        }
        let kept = (config.keep > 0).then(|| Arc::new(Mutex::new(Kept { most: config.keep, ..Kept::default() })));
        let capture = Self { kept, counts: Arc::default() };
        let (batches, taken) = sync_channel(BATCHES);
        let feed = Feed { batches, counts: Arc::clone(&capture.counts) };
        let collector = config.collector.clone().map(|name| Collector { name, agent: config.agent, socket: None });
        let own = capture.clone();
        std::thread::Builder::new().name("capture".to_owned()).spawn(move || own.run(&taken, collector))?;
        Ok((capture, Some(feed)))
    }

    /// Whether messages are kept.
    #[must_use]
    pub const fn keeps(&self) -> bool {
        self.kept.is_some()
    }

    /// The messages that are kept of these Call-IDs, in order.
    #[must_use]
    pub fn of(&self, call_ids: &[String]) -> Vec<Message> {
        let Some(kept) = &self.kept else { return Vec::new() };
        let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let meant = |id: &Bytes| call_ids.iter().any(|call_id| call_id.as_bytes() == id);
        kept.messages.iter().filter(|(_, id)| meant(id)).map(|(message, _)| message.clone()).collect()
    }

    /// Messages that went to the collector, and those that found no way.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.counts.sent.load(Ordering::Relaxed), self.counts.dropped.load(Ordering::Relaxed))
    }

    fn run(&self, batches: &Receiver<Vec<Message>>, mut collector: Option<Collector>) {
        while let Ok(batch) = batches.recv() {
            for message in batch {
                // A copy of its own: what came in shares its buffer with others.
                let message = Message { bytes: masked(&message.bytes), ..message };
                if let Some(collector) = &mut collector {
                    let count = if collector.send(&message) { &self.counts.sent } else { &self.counts.dropped };
                    count.fetch_add(1, Ordering::Relaxed);
                }
                if let Some(kept) = &self.kept {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).keep(message);
                }
            }
        }
    }
}

/// How long a collector whose name is not found is left alone.
const NOT_FOUND: Duration = Duration::from_secs(30);

/// Where everything is sent.
struct Collector {
    name: String,
    agent: u32,
    socket: Option<Result<UdpSocket, std::time::Instant>>,
}

impl Collector {
    /// Whether the message has left.
    fn send(&mut self, message: &Message) -> bool {
        if matches!(&self.socket, Some(Err(since)) if since.elapsed() >= NOT_FOUND) {
            self.socket = None;
        }
        let name = &self.name;
        let socket = self.socket.get_or_insert_with(|| {
            connect(name).map_err(|error| {
                tracing::warn!(collector = name, %error, "the HEP collector is not found");
                std::time::Instant::now()
            })
        });
        let packet = hep::packet(message, self.agent);
        socket.as_ref().is_ok_and(|socket| socket.send(&packet).is_ok())
    }
}

/// A socket that never waits, to the first address of a name.
fn connect(name: &str) -> std::io::Result<UdpSocket> {
    use std::net::{Ipv4Addr, Ipv6Addr, ToSocketAddrs as _};
    let to = name.to_socket_addrs()?.next().ok_or_else(|| std::io::Error::other("it has no address"))?;
    let any: SocketAddr =
        if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The value of the Call-ID, empty where there is none.
fn call_id(message: &[u8]) -> &[u8] {
    let head = message.get(..head(message)).unwrap_or_default();
    let mut lines = head.split(|octet| *octet == b'\n');
    let value = lines.find_map(|line| {
        let colon = line.iter().position(|octet| *octet == b':')?;
        let (name, value) = line.split_at(colon);
        let name = name.trim_ascii();
        (name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i")).then(|| value.get(1..))?
    });
    value.unwrap_or_default().trim_ascii()
}

/// How long its header section is.
fn head(message: &[u8]) -> usize {
    memmem::find(message, b"\r\n\r\n").unwrap_or(message.len())
}

/// Where a secret begins, within the lines that begin so; and where it ends.
const SECRETS: [(&[u8], &[u8], &[u8]); 4] = [
    (b"a=crypto:", b"inline:", b"| \r\n"),
    (b"authorization:", b"response=", b",\r\n"),
    (b"proxy-authorization:", b"response=", b",\r\n"),
    (b"a=ice-pwd:", b":", b"\r\n"),
];

/// A copy in which nobody reads a key.
fn masked(message: &[u8]) -> Bytes {
    let mut copy = message.to_vec();
    for line in copy.split_mut(|octet| *octet == b'\n') {
        for (begins, mark, ends) in SECRETS {
            if line.get(..begins.len()).is_some_and(|start| start.eq_ignore_ascii_case(begins)) {
                mask(line, mark, ends);
            }
        }
    }
    copy.into()
}

fn mask(line: &mut [u8], mark: &[u8], ends: &[u8]) {
    let mut from = 0;
    while let Some(found) = line.get(from..).and_then(|rest| memmem::find(rest, mark)) {
        from += found + mark.len();
        for octet in line.iter_mut().skip(from).take_while(|octet| !ends.contains(octet)) {
            *octet = if *octet == b'"' { b'"' } else { b'x' };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nCall-ID:  one@h \r\n\
        Authorization: Digest username=\"u\", response=\"0123456789abcdef\", uri=\"sip:a@b\"\r\n\r\n\
        v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^20|1:4 inline:b3RoZXI=\r\n";

    #[test]
    fn what_is_secret_is_made_unreadable_and_nothing_else_changes() {
        let seen = String::from_utf8(masked(INVITE.as_bytes()).to_vec()).unwrap();
        let expected = INVITE
            .replace("0123456789abcdef", "xxxxxxxxxxxxxxxx")
            .replace("c2VjcmV0", "xxxxxxxx")
            .replace("b3RoZXI=", "xxxxxxxx");
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_call_id_is_found_in_its_long_and_short_form_and_only_in_the_header_section() {
        assert_eq!(call_id(INVITE.as_bytes()), b"one@h");
        assert_eq!(call_id(b"BYE sip:a SIP/2.0\r\ni: two\r\n\r\n"), b"two");
        assert_eq!(call_id(b"BYE sip:a SIP/2.0\r\nVia: x\r\n\r\nCall-ID: three"), b"");
        assert_eq!(call_id(b"\xff\xfe"), b"");
    }

    #[test]
    fn the_newest_are_kept_and_the_oldest_go() {
        let message = |n: u64| Message {
            at: n,
            stream: false,
            from: ([127, 0, 0, 1], 1).into(),
            to: ([127, 0, 0, 1], 2).into(),
            bytes: format!("BYE sip:a SIP/2.0\r\nCall-ID: {n:04}\r\n\r\n").into(),
        };
        let size = message(0).bytes.len() + OVERHEAD;
        let mut kept = Kept { most: 3 * size, ..Kept::default() };
        (0..10).for_each(|n| kept.keep(message(n)));
        let left: Vec<u64> = kept.messages.iter().map(|(message, _)| message.at).collect();
        assert_eq!((left, kept.octets), (vec![7, 8, 9], 3 * size));
        let capture = Capture { kept: Some(Arc::new(Mutex::new(kept))), counts: Arc::default() };
        let of = |id: &str| capture.of(&[id.to_owned()]).len();
        assert_eq!((of("0007"), of("0001")), (1, 0));
    }

    #[test]
    fn what_finds_the_way_full_is_counted() {
        let counts = Arc::<Counts>::default();
        let (batches, _taken) = sync_channel(1);
        let feed = Feed { batches, counts: Arc::clone(&counts) };
        let one = || Message {
            at: 0,
            stream: false,
            from: ([127, 0, 0, 1], 1).into(),
            to: ([127, 0, 0, 1], 2).into(),
            bytes: Bytes::new(),
        };
        feed.offer(vec![one()]);
        feed.offer(vec![one(), one()]);
        assert_eq!(counts.dropped.load(Ordering::Relaxed), 2);
    }
}
