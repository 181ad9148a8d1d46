//! Recordings on a real disk: whole when their end is told, playable when we are killed, and no more than themselves lost
//! where the disk is full. Each wait is for an observable fact, with a deadline.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]
#![cfg(feature = "worker")]
#![allow(clippy::disallowed_methods, reason = "a test of the rim reads the clock for its deadlines")]

use base::Rng;
use media::{
    Codec, Command, EndpointId, Engine, EngineConfig, Event, Latch, PlayId, RecordEnd, RecordId, RecordOptions,
    RecordSource, ShardConfig, StreamConfig, tone,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LEG: EndpointId = EndpointId(2);

/// Two free ports side by side.
fn port() -> u16 {
    (0..200)
        .find_map(|_| {
            let port = UdpSocket::bind((LOOPBACK, 0)).ok()?.local_addr().ok()?.port() & !1;
            let free = |port| UdpSocket::bind((LOOPBACK, port)).is_ok();
            (port > 2_048 && free(port) && free(port + 1)).then_some(port)
        })
        .unwrap()
}

/// A phone that plays a tone without end to a leg that records.
fn start(file: &Path, source: RecordSource) -> (Engine, mpsc::Receiver<Event>) {
    let (sender, events) = mpsc::channel();
    let config = EngineConfig {
        threads: 1,
        bind_ip: LOOPBACK,
        shard: ShardConfig::default(),
        origin: Instant::now(),
        rng: Rng::from_u64(3),
    };
    let mut engine = Engine::start(config, move |event| drop(sender.send(event))).unwrap();
    let ports = [port(), port()];
    for (id, rtp_port, far) in [(EndpointId(1), ports[0], ports[1]), (LEG, ports[1], ports[0])] {
        let config = StreamConfig {
            remote: SocketAddr::new(LOOPBACK, far),
            remote_rtcp: None,
            rtcp_mux: false,
            codec: Codec::Pcmu,
            payload_type_out: 0,
            payload_type_in: 0,
            dtmf_out: Some(101),
            dtmf_in: Some(101),
            dtmf_clock: 8_000,
            ptime_ms: 20,
            send: true,
            receive: true,
            srtp: None,
            latch: Latch::Signalled,
            timeout: None,
            expects_media: true,
        };
        engine.send(Command::Create { id, rtp_port }).unwrap();
        engine.send(Command::Configure { id, config }).unwrap();
    }
    let prompt = Arc::new(tone("440").unwrap());
    engine.send(Command::Play { id: EndpointId(1), play: PlayId(1), prompt, repeat: 0 }).unwrap();
    let mut options = RecordOptions::new(file);
    options.source = source;
    engine.send(Command::Record { id: LEG, record: RecordId(1), options }).unwrap();
    (engine, events)
}

fn wait<T>(events: &mpsc::Receiver<Event>, found: impl Fn(&Event) -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    while let Ok(event) = events.recv_timeout(end.saturating_duration_since(Instant::now())) {
        if let Some(found) = found(&event) {
            return found;
        }
    }
    panic!("it did not come");
}

fn frames(file: &Path) -> usize {
    hound::WavReader::open(file).map_or(0, |reader| reader.duration() as usize)
}

fn until(what: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !what() {
        assert!(Instant::now() < end, "it did not come about");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("tandem-media-{}-{name}.wav", std::process::id()))
}

#[test]
fn a_file_is_playable_while_it_grows_and_whole_when_its_end_is_told() {
    let file = temporary("grows");
    let (mut engine, events) = start(&file, RecordSource::Dual);
    until(|| frames(&file) >= 8_000);
    engine.send(Command::StopRecord { id: LEG, record: RecordId(1) }).unwrap();
    let (duration, octets, reason) = wait(&events, |event| match event {
        Event::RecordEnded { duration_ms, octets, reason, .. } => Some((*duration_ms, *octets, reason.clone())),
        _ => None,
    });
    assert_eq!(reason, RecordEnd::Stopped);
    assert_eq!(std::fs::metadata(&file).unwrap().len(), octets);
    let mut reader = hound::WavReader::open(&file).unwrap();
    assert_eq!((reader.spec().channels, reader.spec().sample_rate), (2, 8_000));
    assert_eq!(u64::from(reader.duration()), duration * 8);
    let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
    let crossings = samples.iter().step_by(2).skip(1_600).take(5_600).collect::<Vec<_>>();
    let crossings = crossings.windows(2).filter(|pair| *pair[0] < 0 && *pair[1] >= 0).count();
    assert!((300..=312).contains(&crossings), "{crossings}");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_call() {
    for file in ["/dev/full", "/nowhere/at/all.wav"] {
        let (mut engine, events) = start(Path::new(file), RecordSource::Received);
        let reason = wait(&events, |event| match event {
            Event::RecordEnded { reason, .. } => Some(reason.clone()),
            _ => None,
        });
        assert!(matches!(&reason, RecordEnd::Disk(why) if !why.is_empty()), "{reason:?}");
        engine.send(Command::SendDigits { id: EndpointId(1), digits: "5".into(), tone_ms: 60, gap_ms: 60 }).unwrap();
        wait(&events, |event| matches!(event, Event::Digit { digit: '5', .. }).then_some(()));
    }
}

#[test]
fn a_shutdown_completes_what_is_recorded() {
    let file = temporary("shutdown");
    let (engine, events) = start(&file, RecordSource::Mixed);
    until(|| frames(&file) >= 4_000);
    engine.shutdown();
    let (duration, reason) = wait(&events, |event| match event {
        Event::RecordEnded { duration_ms, reason, .. } => Some((*duration_ms, reason.clone())),
        _ => None,
    });
    assert_eq!((reason, frames(&file) as u64), (RecordEnd::Closed, duration * 8));
    std::fs::remove_file(file).unwrap();
}

/// Not a test by itself: what is killed in the next one.
#[test]
fn victim() {
    let Some(file) = std::env::var_os("TANDEM_RECORD_UNTIL_KILLED") else { return };
    let (_engine, _events) = start(Path::new(&file), RecordSource::Received);
    std::thread::sleep(DEADLINE);
}

/// How long what is killed had recorded by the file, and at least and at most by the clock.
fn killed() -> [Duration; 3] {
    let file = temporary("killed");
    let begun = Instant::now();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "victim"])
        .env("TANDEM_RECORD_UNTIL_KILLED", &file)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until(|| file.exists());
    let opened = Instant::now();
    until(|| frames(&file) >= 16_000);
    // Somewhere between two blocks.
    std::thread::sleep(Duration::from_millis(330));
    child.kill().unwrap();
    let (least, most) = (opened.elapsed(), begun.elapsed());
    child.wait().unwrap();
    let played = Duration::from_millis(frames(&file) as u64 / 8);
    std::fs::remove_file(file).unwrap();
    [played, least, most]
}

/// A machine that gives the process no time just before it is killed proves nothing: then it is killed again.
#[test]
fn after_kill_9_the_file_plays_to_within_a_second_of_the_end() {
    let mut short = Vec::new();
    for _ in 0..10 {
        let [played, least, most] = killed();
        assert!(played <= most, "{played:?} recorded in {most:?}");
        if played + Duration::from_secs(1) >= least {
            println!("{played:?} of at least {least:?} can be played");
            return;
        }
        short.push((played, least));
    }
    panic!("each time more than a second is missing: {short:?}");
}
