//! No file descriptor is left (FAULTS.md row 19): new work is refused, what stands goes on, and all is as before once there
//! are some.

use crate::absent::one_is;
use crate::admitted::caller_of;
use crate::alone;
use crate::common::caller::Caller;
use crate::common::carrier::Carrier;
use crate::common::http::Http;
use crate::common::process::Process;
use crate::common::switch::{CALLED, KEY, OWNED, Setup, program};
use crate::common::{secs, until};
use crate::scene::ready;
use serde_json::json;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

/// All that the process may hold.
const FILES: usize = 256;
/// For whatever is waited for.
const WITHIN: Duration = secs(120);

fn held(process: &Process) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", process.id())).map_or(0, Iterator::count)
}

/// A SIP connection that has said something, and stays: the switch has answered it where `waits` says so.
fn connection(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"\r\n\r\n").unwrap();
    stream
}

/// Who calls until an INVITE is answered with this: on a busy machine some are turned away with 503.
fn answered(setup: &Setup, wanted: u16) -> String {
    let caller = Caller::start(setup.sip_port, "menu", secs(2));
    let (from, _) = until(&format!("an INVITE is answered {wanted}"), WITHIN, || {
        caller.answers().into_iter().find(|(_, status)| *status == wanted)
    });
    caller.stop();
    from
}

#[test]
fn without_a_descriptor_left_new_calls_are_refused_and_those_that_stand_go_on() {
    let _alone = alone();
    let mut setup = Setup::new();
    let (dir, ports) = setup.room();
    let carrier = Carrier::start(dir, ports, 10, "answer 100ms, say welcome loop", &[]);
    let setup = setup
        .trunk("carrier", "generic", carrier.port, "")
        .section("[[number]]\nnumber = \"menu\"\ntenant = \"default\"\nanswer = { play = \"digit-1\" }");
    std::fs::write(setup.dir().join("tandem.toml"), setup.text()).unwrap();
    let http = Http::new(setup.http_port, KEY);
    let mut switch = Process::start("tandem", setup.dir(), "sh", |command| {
        let serve = format!("ulimit -n {FILES} && exec \"$0\" serve --config tandem.toml");
        command.args(["-c", &serve]).arg(program());
    });
    ready(&mut switch, &http);
    let call = json!({ "from": OWNED, "to": CALLED, "answer": { "play": "hold-music", "loop": 0 } });
    let live = one_is(&http, &call, "in-progress");
    let from = answered(&setup, 200);

    let mut taken = Vec::new();
    until("no descriptor is left", WITHIN, || {
        taken.push(connection(setup.sip_port));
        (held(&switch) >= FILES).then_some(())
    });
    // Some more: where one is given back, another takes its place.
    taken.extend((0..50).map(|_| connection(setup.sip_port)));
    answered(&setup, 503);
    assert_eq!(switch.ended(), None);

    drop(taken);
    until("there are descriptors again", WITHIN, || (held(&switch) < FILES / 2).then_some(()));
    until("it is ready", WITHIN, || http.try_get("/readyz").ok().filter(|reply| reply.status == 200));
    assert_eq!(http.call(&live)["status"], "in-progress", "what stood goes on");
    let after = answered(&setup, 200);
    assert_eq!(http.post(&format!("/v1/calls/{live}"), &json!({ "status": "completed" })).status, 200);
    let ended = http.ended(&live, WITHIN);
    assert!(ended["received"]["packets"].as_u64() > Some(0) && ended["cause"]["origin"] == "api", "{ended:#}");
    until("each has its CDR", WITHIN, || {
        let rows = http.items("/v1/cdrs");
        let callers: Vec<&str> = rows.iter().filter_map(caller_of).collect();
        let all = [&from, &after].into_iter().all(|from| callers.contains(&from.as_str()));
        (all && rows.iter().any(|row| row["sid"] == live.as_str())).then_some(())
    });
    drop((switch, carrier, setup));
}
