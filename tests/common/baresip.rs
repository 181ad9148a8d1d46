//! baresip 1.0 (Debian's): a phone with a configuration of its own, steered over `ctrl_tcp`.
//!
//! It has no sound card: what it says comes from a WAV file, what it hears the `sndfile` module writes to another.

use super::process::Process;
use super::switch::Setup;
use super::{audio, secs, until};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

/// Until its control port takes connections.
const UP_WITHIN: Duration = secs(15);
/// Where Debian keeps the modules.
const MODULES: &str = "/usr/lib/baresip/modules";

/// The codec of a phone that is not told to have another: its module, and its name in an account.
const G711: (&str, &str) = ("g711.so", "PCMU/8000/1");
/// It offers whatever its modules have, so that a phone of Opus has no other.
const OPUS: (&str, &str) = ("opus.so", "opus/48000/2");

/// A running baresip.
#[derive(Debug)]
pub struct Baresip {
    process: Process,
    dir: PathBuf,
    control: TcpStream,
    unread: Vec<u8>,
    /// What it has said on its control port, in order.
    pub said: Vec<Value>,
    /// Its SIP port, UDP and TCP.
    pub port: u16,
}

impl Baresip {
    /// Starts a phone called `user`, which answers by itself and says this (8 kHz, mono), then nothing for a minute.
    #[track_caller]
    pub fn start(user: &str, setup: &mut Setup, says: &[i16]) -> Self {
        Self::run(user, setup, says, G711, |port| format!("<sip:{user}@127.0.0.1:{port}>;regint=0"))
    }

    /// As [`Baresip::start`], and it speaks Opus and nothing else.
    #[track_caller]
    pub fn in_opus(user: &str, setup: &mut Setup, says: &[i16]) -> Self {
        Self::run(user, setup, says, OPUS, |port| format!("<sip:{user}@127.0.0.1:{port}>;regint=0"))
    }

    /// As [`Baresip::start`], and its audio is encrypted with the keys of its description, or there is no call.
    #[track_caller]
    pub fn secure(user: &str, setup: &mut Setup, says: &[i16]) -> Self {
        Self::run(user, setup, says, G711, |port| format!("<sip:{user}@127.0.0.1:{port}>;regint=0;mediaenc=srtp-mand"))
    }

    /// As [`Baresip::start`], registered with the switch of this setup, which runs: over this transport, with this password.
    #[track_caller]
    pub fn registered(user: &str, password: &str, transport: &str, setup: &mut Setup, says: &[i16]) -> Self {
        let switch = if transport == "tls" { setup.tls_port.unwrap() } else { setup.sip_port };
        let account = format!(
            "<sip:{user}@127.0.0.1:{switch};transport={transport}>;auth_user={user};auth_pass={password};regint=60"
        );
        let phone = Self::run(user, setup, says, G711, |_| account);
        // Its event may have been told before anybody listened.
        until("baresip's registration", secs(15), || phone.output().contains("binding]").then_some(()));
        phone
    }

    fn run(
        user: &str,
        setup: &mut Setup,
        says: &[i16],
        (module, codec): (&str, &str),
        account: impl FnOnce(u16) -> String,
    ) -> Self {
        let (parent, ports) = setup.room();
        let dir = parent.join(format!("baresip-{user}"));
        std::fs::create_dir_all(&dir).unwrap();
        // At the end of its file it hangs up.
        let mut speech = says.to_vec();
        speech.resize(says.len() + 60 * 8_000, 0);
        audio::write(&dir.join("says.wav"), &speech);
        // It takes the port above its own as well, for TLS.
        let (port, _tls, control) = (ports.port(), ports.port(), ports.port());
        let (first, last) = ports.range(8);
        let config = format!(
            "sip_listen 127.0.0.1:{port}\nnet_interface 127.0.0.1\nrtp_ports {first}-{last}\nrtp_stats no\n\
             audio_source aufile,{dir}/says.wav\naudio_channels 1\nausrc_srate 8000\nauplay_srate 8000\n\
             audio_buffer 20-160\njitter_buffer_delay 5-10\nsnd_path {dir}\nctrl_tcp_listen 127.0.0.1:{control}\n\
             module_path {MODULES}\n\
             opus_stereo no\nopus_sprop_stereo no\nopus_inbandfec yes\nopus_application voip\n\
             module {module}\nmodule srtp.so\nmodule aufile.so\nmodule sndfile.so\n\
             module_tmp account.so\nmodule_app contact.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n",
            dir = dir.display(),
        );
        std::fs::write(dir.join("config"), config).unwrap();
        std::fs::write(dir.join("contacts"), "").unwrap();
        let account = format!("{};answermode=auto;audio_codecs={codec}\n", account(port));
        std::fs::write(dir.join("accounts"), account).unwrap();
        let mut process = Process::start("baresip", &dir, "baresip", |command| {
            command.arg("-f").arg(&dir).args(["-v", "-s"]);
        });
        let control = until("baresip's control port", UP_WITHIN, || {
            assert_eq!(process.ended(), None, "baresip ended at its start");
            TcpStream::connect((Ipv4Addr::LOCALHOST, control)).ok()
        });
        control.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Self { process, dir, control, unread: Vec::new(), said: Vec::new(), port }
    }

    /// A command of its menu, and its answer.
    #[track_caller]
    pub fn command(&mut self, command: &str, parameter: &str) -> Value {
        let token = format!("{command}-{}", self.said.len());
        let message = json!({ "command": command, "params": parameter, "token": token }).to_string();
        // A netstring: the length, a colon, the octets, a comma.
        self.control.write_all(format!("{}:{message},", message.len()).as_bytes()).unwrap();
        let answer = self.hears(&format!("the answer to {command}"), secs(10), |said| said["token"] == token.as_str());
        assert_eq!(answer["ok"], true, "{command} {parameter}: {answer}");
        answer
    }

    /// Waits until it has said something, now or before.
    #[track_caller]
    pub fn hears(&mut self, what: &str, deadline: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        until(what, deadline, || {
            self.listen();
            self.said.iter().find(|said| wanted(said)).cloned()
        })
    }

    /// Waits for an event of its: `CALL_ESTABLISHED`, `CALL_CLOSED` …
    #[track_caller]
    pub fn event(&mut self, kind: &str, deadline: Duration) -> Value {
        self.hears(&format!("baresip's {kind}"), deadline, |said| said["event"] == true && said["type"] == kind)
    }

    fn listen(&mut self) {
        let mut buffer = [0; 4_096];
        match self.control.read(&mut buffer) {
            Ok(length) => self.unread.extend_from_slice(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("baresip's control port: {error}"),
        }
        while let Some((message, length)) = netstring(&self.unread) {
            self.said.push(serde_json::from_slice(message).unwrap());
            self.unread.drain(..length);
        }
    }

    /// What it heard in its last call, once it has closed the file.
    #[track_caller]
    pub fn recording(&self) -> Vec<i16> {
        until("baresip's recording, closed", secs(10), || {
            let files = std::fs::read_dir(&self.dir).unwrap().map(|file| file.unwrap().path());
            // The name holds the time at which the call began.
            audio::closed_wav(&files.filter(|path| path.to_string_lossy().ends_with("-dec.wav")).max()?)
        })
    }

    /// What it printed.
    pub fn output(&self) -> String {
        self.process.output()
    }
}

/// The first whole netstring: its octets, and how many it takes in all.
fn netstring(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let length: usize = std::str::from_utf8(&bytes[..colon]).unwrap().parse().unwrap();
    let end = colon + 1 + length;
    (bytes.len() > end).then(|| (&bytes[colon + 1..end], end + 1))
}
