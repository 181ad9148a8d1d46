//! linphonec (Debian's `linphone-cli`): a phone that holds two calls and hands one to the other, steered by its standard
//! input.

use super::process::Process;
use super::switch::Setup;
use super::{audio, secs, until};
use std::path::PathBuf;
use std::process::Stdio;

/// A running linphonec.
#[derive(Debug)]
pub struct Linphone {
    process: Process,
    dir: PathBuf,
}

impl Linphone {
    /// Starts a phone without a sound card, registered as `user` with the switch of this setup, which runs.
    #[track_caller]
    pub fn registered(user: &str, password: &str, setup: &mut Setup) -> Self {
        let switch = setup.sip_port;
        let (parent, ports) = setup.room();
        let dir = parent.join(format!("linphone-{user}"));
        std::fs::create_dir_all(dir.join(".local/share/linphone")).unwrap();
        let (port, rtp) = (ports.port(), ports.range(8));
        let us = format!("127.0.0.1:{switch}");
        let config = format!(
            "[sip]\nsip_port={port}\nsip_tcp_port=0\nsip_tls_port=0\ndefault_proxy=0\n\n\
             [rtp]\naudio_rtp_port={first}-{last}\n\n\
             [proxy_0]\nreg_proxy=<sip:{us}>\nreg_identity=sip:{user}@{us}\nreg_expires=600\nreg_sendregister=1\n\n\
             [auth_info_0]\nusername={user}\npasswd={password}\nrealm=tandem\n",
            first = rtp.0,
            last = rtp.1,
        );
        std::fs::write(dir.join("linphonerc"), config).unwrap();
        let process = Process::start("linphonec", &dir, "linphonec", |command| {
            command.env("HOME", &dir).env("TERM", "dumb").stdin(Stdio::piped());
            command.arg("-c").arg(dir.join("linphonerc")).args(["-d", "0"]);
        });
        let mut phone = Self { process, dir };
        phone.command("soundcard use files");
        until("linphonec's registration", secs(20), || {
            phone.command("status register");
            std::thread::sleep(std::time::Duration::from_millis(200));
            phone.process.output().contains("registered, identity=").then_some(())
        });
        phone
    }

    /// From its next call on it says this (8 kHz, mono), and records what it hears into the file that is given back.
    pub fn with_files(&mut self, says: &[i16]) -> PathBuf {
        let (says_path, hears) = (self.dir.join("says.wav"), self.dir.join("hears.wav"));
        audio::write(&says_path, says);
        self.command(&format!("play {}", says_path.display()));
        self.command(&format!("record {}", hears.display()));
        hears
    }

    /// Types a line.
    pub fn command(&mut self, line: &str) {
        self.process.types(line);
    }

    /// Waits until it has printed this.
    #[track_caller]
    pub fn says(&self, text: &str) {
        until(&format!("linphonec's {text:?}"), secs(20), || self.process.output().contains(text).then_some(()));
    }
}

impl Drop for Linphone {
    fn drop(&mut self) {
        self.process.kill();
    }
}
