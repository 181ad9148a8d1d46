//! A caller of its own make: INVITEs at a pace, over UDP, and what each was answered. It asks once: a switch that dies
//! over it is asked again by nobody, so that what it has said is all that it has said.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What each INVITE was answered first, a 100 apart, by the number that it came from, each call's own; 0 where nothing has
/// come.
pub type Answers = HashMap<String, u16>;

/// What it found.
#[derive(Debug, Default)]
pub struct Found {
    /// What each INVITE was answered.
    pub answers: Answers,
    /// Of the calls that the switch never ended: by the caller's number, what a BYE was answered in the end.
    pub byes: Answers,
}

/// Calls that come to a switch, until it is stopped.
#[derive(Debug)]
pub struct Caller {
    answers: Arc<Mutex<Answers>>,
    taken: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Answers>,
}

impl Caller {
    /// Calls `user` at 127.0.0.1, `port`, one call every `pace`.
    pub fn start(port: u16, user: &str, pace: Duration) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        // Somebody is there for the sound, so that nothing says that nobody is.
        let sound = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (answers, taken, stop) = (Arc::default(), Arc::default(), Arc::default());
        let line = Line {
            switch: ([127, 0, 0, 1], port).into(),
            own: socket.local_addr().unwrap().port(),
            sound: sound.local_addr().unwrap().port(),
            user: user.to_owned(),
            socket,
            answers: Arc::clone(&answers),
            taken: Arc::clone(&taken),
            open: RefCell::default(),
        };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            line.run(pace, &stopped);
            let byes = line.hang_up();
            drop(sound);
            byes
        });
        Self { answers, taken, stop, thread }
    }

    /// How many were taken so far: answered with more than a 100, and not refused.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// What each INVITE was answered so far.
    pub fn answers(&self) -> Answers {
        self.answers.lock().unwrap().clone()
    }

    /// Calls nobody any more, and hangs up what the switch, which is there, has not.
    pub fn stop(self) -> Found {
        self.stop.store(true, Ordering::Relaxed);
        let byes = self.thread.join().unwrap();
        Found { answers: std::mem::take(&mut self.answers.lock().unwrap()), byes }
    }
}

/// Callers' numbers begin here: seven digits behind the area code.
const FIRST: usize = 2_000_000;

struct Line {
    switch: SocketAddr,
    own: u16,
    sound: u16,
    user: String,
    socket: UdpSocket,
    answers: Arc<Mutex<Answers>>,
    taken: Arc<AtomicUsize>,
    /// The BYE of each call that stands, by its caller's number.
    open: RefCell<BTreeMap<String, String>>,
}

/// How long the switch may be asked to end what it has not ended.
const HANG_UP_WITHIN: Duration = Duration::from_secs(120);
/// How often it is asked.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

impl Line {
    fn run(&self, pace: Duration, stop: &AtomicBool) {
        let (mut nth, mut due) = (0, Instant::now());
        let mut buffer = [0; 65_536];
        while !stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            if due <= now {
                self.invite(nth);
                nth += 1;
                due = (due + pace).max(now);
                continue;
            }
            self.socket.set_read_timeout(Some((due - now).max(Duration::from_millis(1)))).unwrap();
            // A switch that is away is one that does not answer; what the kernel says of that is passed over.
            let Ok(length) = self.socket.recv(&mut buffer) else { continue };
            self.hear(&String::from_utf8_lossy(&buffer[..length]));
        }
    }

    /// Ends what stands; what each BYE was answered.
    fn hang_up(&self) -> Answers {
        let (began, mut asked, mut byes, mut buffer) = (Instant::now(), None, Answers::new(), [0; 65_536]);
        self.socket.set_read_timeout(Some(AGAIN_AFTER)).unwrap();
        while !self.open.borrow().is_empty() {
            assert!(began.elapsed() < HANG_UP_WITHIN, "{} BYEs have no answer", self.open.borrow().len());
            if asked.is_none_or(|at: Instant| at.elapsed() >= AGAIN_AFTER) {
                asked = Some(Instant::now());
                self.open.borrow().values().for_each(|bye| self.send(bye));
            }
            let Ok(length) = self.socket.recv(&mut buffer) else { continue };
            let text = String::from_utf8_lossy(&buffer[..length]);
            match status(&text) {
                Some(status) if value(&text, "CSeq").ends_with("BYE") => {
                    let from = number(&text).to_owned();
                    self.open.borrow_mut().remove(&from);
                    byes.insert(from, status);
                }
                _ => self.hear(&text),
            }
        }
        byes
    }

    fn send(&self, text: &str) {
        let _ = self.socket.send_to(text.as_bytes(), self.switch);
    }

    fn invite(&self, nth: usize) {
        let (own, sound, user, switch) = (self.own, self.sound, &self.user, self.switch);
        let from = format!("+1555{:07}", FIRST + nth);
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {sound} RTP/AVP 0\r\n"
        );
        self.answers.lock().unwrap().insert(from.clone(), 0);
        self.send(&format!(
            "INVITE sip:{user}@{switch} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{own};branch=z9hG4bK{nth}i{own}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{from}@127.0.0.1>;tag={nth}\r\nTo: <sip:{user}@{switch}>\r\n\
             Call-ID: {from}.{own}@127.0.0.1\r\nCSeq: 1 INVITE\r\nContact: <sip:caller@127.0.0.1:{own}>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        ));
    }

    fn hear(&self, text: &str) {
        match status(text) {
            Some(status) if value(text, "CSeq").ends_with("INVITE") => self.answered(text, status),
            None if text.starts_with("BYE ") => self.bye(text),
            _ => {}
        }
    }

    fn answered(&self, text: &str, status: u16) {
        if let Some(known) = self.answers.lock().unwrap().get_mut(number(text))
            && *known == 0
            && status > 100
        {
            *known = status;
            self.taken.fetch_add(usize::from(status < 300), Ordering::Relaxed);
        }
        if status < 200 {
            return;
        }
        // Of a 2xx the ACK is a request of the dialog (RFC 3261 §13.2.2.4), of another one a part of the INVITE's own
        // transaction (§17.1.1.3).
        let contact = value(text, "Contact").trim_start_matches('<').split('>').next().unwrap_or_default();
        let (via, target) = match status {
            200..=299 => (value(text, "Via").replace("z9hG4bK", "z9hG4bKa"), contact.to_owned()),
            _ => (value(text, "Via").to_owned(), format!("sip:{}@{}", self.user, self.switch)),
        };
        let (from, to, id) = (value(text, "From"), value(text, "To"), value(text, "Call-ID"));
        if (200..=299).contains(&status) {
            let via = via.replace("z9hG4bKa", "z9hG4bKb");
            let bye = format!(
                "BYE {target} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {id}\r\n\
                 CSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n"
            );
            self.open.borrow_mut().insert(number(text).to_owned(), bye);
        }
        self.send(&format!(
            "ACK {target} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {id}\r\n\
             CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
        ));
    }

    fn bye(&self, text: &str) {
        self.open.borrow_mut().remove(number(text));
        let same = ["Via", "From", "To", "Call-ID", "CSeq"].map(|name| format!("{name}: {}\r\n", value(text, name)));
        self.send(&format!("SIP/2.0 200 OK\r\n{}Content-Length: 0\r\n\r\n", same.concat()));
    }
}

/// The status of a response.
fn status(text: &str) -> Option<u16> {
    text.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse().ok())
}

/// The number that its call came from.
fn number(text: &str) -> &str {
    value(text, "Call-ID").split('.').next().unwrap_or_default()
}

/// The first value of a header field, as the switch writes its name.
fn value<'a>(text: &'a str, name: &str) -> &'a str {
    let pairs = text.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'));
    pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next().unwrap_or_default()
}
