//! A far end of its own make, over UDP: it rings as long as the test likes, answers when it is told to, and answers a BYE.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Until it looks whether it is to answer, or has been dropped.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One that rings.
#[derive(Debug)]
pub struct Callee {
    /// Its SIP port.
    pub port: u16,
    answers: Arc<AtomicBool>,
    gone: Arc<AtomicBool>,
}

impl Callee {
    /// One that rings whoever calls it.
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        // Somebody is there for the sound, so that nothing says that nobody is.
        let sound = UdpSocket::bind("127.0.0.1:0").unwrap();
        let callee = Self { port: port(&socket), answers: Arc::default(), gone: Arc::default() };
        let (answers, gone) = (Arc::clone(&callee.answers), Arc::clone(&callee.gone));
        socket.set_read_timeout(Some(LOOK_EVERY)).unwrap();
        std::thread::spawn(move || {
            let (mut buffer, mut ringing) = ([0; 65_536], None);
            while !gone.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    let reply = match request.split(' ').next() {
                        Some("INVITE") => {
                            ringing = Some((request.clone(), from));
                            response(&request, "180 Ringing", port(&socket), None)
                        }
                        Some("BYE") => response(&request, "200 OK", port(&socket), None),
                        _ => continue,
                    };
                    let _ = socket.send_to(reply.as_bytes(), from);
                }
                if answers.load(Ordering::Relaxed)
                    && let Some((invite, from)) = ringing.take()
                {
                    let answer = response(&invite, "200 OK", port(&socket), Some(port(&sound)));
                    let _ = socket.send_to(answer.as_bytes(), from);
                }
            }
        });
        callee
    }

    /// From now on it answers, who rings already first.
    pub fn answer(&self) {
        self.answers.store(true, Ordering::Relaxed);
    }
}

impl Drop for Callee {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

fn port(socket: &UdpSocket) -> u16 {
    socket.local_addr().unwrap().port()
}

/// A response of the UAS (RFC 3261 §8.2.6), with a description where sound is to come to a port.
fn response(request: &str, status: &str, own: u16, sound: Option<u16>) -> String {
    let copied = |name: &str| {
        let line = request.lines().find(|line| line.get(..name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name)));
        line.unwrap_or_default().to_owned()
    };
    let mut to = copied("To:");
    if !to.contains(";tag=") {
        to += ";tag=callee";
    }
    let sdp = sound.map_or_else(String::new, |sound| {
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {sound} RTP/AVP 0\r\n"
        )
    });
    let of_sdp = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let (via, from, id, cseq) = (copied("Via:"), copied("From:"), copied("Call-ID:"), copied("CSeq:"));
    format!(
        "SIP/2.0 {status}\r\n{via}\r\n{from}\r\n{to}\r\n{id}\r\n{cseq}\r\nContact: <sip:callee@127.0.0.1:{own}>\r\n\
         {of_sdp}Content-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}
