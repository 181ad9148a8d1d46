//! Kamailio in front of the switch: a proxy that records its route twice, once for each side (`r2=on`), as the edge of a
//! carrier does.

use super::process::Process;
use super::secs;
use super::switch::Setup;
use super::until;
use std::net::TcpStream;

/// Its configuration; `[proxy]`, `[carrier]`, `[switch]` are ports of 127.0.0.1. Toward the switch it speaks TCP, toward
/// the carrier UDP: so it has two sides, and names both (its `rr` module, `enable_double_rr`).
const CONFIG: &str = r#"
debug=1
log_stderror=yes
fork=yes
children=1
tcp_children=1
auto_aliases=no
listen=udp:127.0.0.1:[proxy]
listen=tcp:127.0.0.1:[proxy]
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
modparam("rr", "enable_double_rr", 1)
modparam("rr", "append_fromtag", 1)
request_route {
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
  if (has_totag()) {
    if (loose_route()) { t_relay(); exit; }
    if (is_method("ACK")) { if (t_check_trans()) { t_relay(); } exit; }
    sl_send_reply("404", "Not here");
    exit;
  }
  record_route();
  if ($sp == [carrier]) { $du = "sip:127.0.0.1:[switch];transport=tcp"; } else { $du = "sip:127.0.0.1:[carrier]"; }
  t_relay();
}
"#;

/// A running proxy.
#[derive(Debug)]
pub struct Kamailio {
    process: Process,
    /// Its port, for UDP and TCP.
    pub port: u16,
}

impl Kamailio {
    /// A proxy between the switch of this setup and a carrier on `carrier`, on a port that the setup has reserved.
    #[track_caller]
    pub fn start(setup: &mut Setup, port: u16, carrier: u16) -> Self {
        let switch = setup.sip_port;
        let (dir, _) = setup.room();
        let config = [("proxy", port), ("carrier", carrier), ("switch", switch)]
            .iter()
            .fold(CONFIG.to_owned(), |text, (key, port)| text.replace(&format!("[{key}]"), &port.to_string()));
        let file = dir.join("kamailio.cfg");
        std::fs::write(&file, config).unwrap();
        let run = dir.join("kamailio-run");
        std::fs::create_dir_all(&run).unwrap();
        let mut process = Process::start("kamailio", dir, kamailio(), |command| {
            // In the foreground; a page of memory of its own, and nothing under /run.
            command.args(["-DD", "-E", "-m", "16", "-M", "4", "-f"]).arg(&file);
            command.arg("-Y").arg(&run).arg("-P").arg(run.join("pid"));
        });
        until("Kamailio listens", secs(20), || {
            assert_eq!(process.ended(), None, "Kamailio ended at its start:\n{}", process.output());
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self { process, port }
    }
}

/// Debian puts it where only root looks.
fn kamailio() -> &'static str {
    if std::path::Path::new("/usr/sbin/kamailio").exists() { "/usr/sbin/kamailio" } else { "kamailio" }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // It ends its children, which a kill would orphan.
        self.process.terminate();
        self.process.end(secs(10));
    }
}
