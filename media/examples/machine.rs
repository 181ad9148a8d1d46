//! How well answering machines are told from people: `cargo run --release -p media --example machine [tune]`.
//!
//! It has espeak-ng (Debian) say greetings of people and of machines, in voices, accents, speeds, levels and noises, sends
//! them through G.711, and prints a confusion matrix and when the decisions fell. The voices, the texts and the seeds of
//! the set that counts were held out from tuning; `tune` runs the other set.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for a terminal")]
#![allow(clippy::disallowed_methods, reason = "it is no part of the engine")]

use base::Rng;
use media::Codec;
use media::detect::machine::{Answerer, Decision, MachineConfig, MachineDetector, Reason};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

const PEOPLE: [&str; 24] = [
    "Hello?",
    "Hello, this is Anna.",
    "Yes?",
    "Good morning, Smith speaking.",
    "Hi.",
    "Who is this?",
    "Hello, hello?",
    "Doctor Miller's office, how can I help?",
    "Yeah, hello.",
    "Peter here.",
    "Good afternoon.",
    "Jones.",
    "Hello, Maria speaking.",
    "Hey, what's up?",
    "Yes, hello, who is calling?",
    "Reception.",
    "Thompson residence.",
    "Hi, it's me.",
    "Good evening, Carter.",
    "Speaking.",
    "Yes, this is he.",
    "Hello, front desk.",
    "What?",
    "Hi there, Susan speaking.",
];

const MACHINES: [&str; 24] = [
    "Hi, you have reached Anna. I can't come to the phone right now, so please leave a message after the tone.",
    "The person you are calling is not available. Please record your message after the beep.",
    "Hello, this is the voice mail of Peter Jones. Leave your name and number and I will call you back.",
    "You have reached the Millers. Nobody is at home at the moment. Please leave a message.",
    "Thank you for calling. Our office is closed. Our hours are nine to five, Monday to Friday.",
    "Your call has been forwarded to an automatic voice message system. At the tone, please record your message.",
    "Hey, it's Tom, I'm not here, you know what to do, talk to me after the beep.",
    "Good day. We are unable to take your call. Kindly leave your name, your number and the time of your call.",
    "The number you have dialed is busy. To leave a message, stay on the line.",
    "Hello, and welcome to the mailbox of Susan Carter, who is on holiday until the end of the month.",
    "This is the answering machine of five five five, one two three four. Please speak after the tone.",
    "I am sorry, I missed your call. Please send me a text, or leave a short message behind the signal.",
    "Hi, this is Mark. I'm probably driving. Leave me something nice and I'll get back to you as soon as I can.",
    "Welcome to the voice mailbox. The subscriber cannot be reached. Please try again later or leave a message.",
    "You've reached the desk of Laura Brown. I'm away from my desk or on the other line. Please leave a message.",
    "Hello. We can't answer right now. If this is urgent, dial zero for the operator. Otherwise leave a message.",
    "Thanks for calling Green Garden Services. All of our agents are out. Please leave your address and number.",
    "Hi, it's the Wilsons. We're out with the dog. Say who you are and when we can call you.",
    "Nobody can take your call at this time. After the tone, please record your message, then hang up.",
    "This mailbox belongs to Doctor Adams. For appointments please call during the day between eight and twelve.",
    "Hello caller. I never listen to these messages, so you had better write to me. Goodbye, and have a nice day.",
    "You are connected to the message service of Northern Telephone. Your party does not answer.",
    "Sorry we missed you. Leave a message with as much detail as you can, and we will be in touch tomorrow.",
    "Hello, you have reached my phone and I have not reached it in time. Message, please, after the long tone.",
];

struct Set {
    /// Which texts: those whose number has this remainder by two.
    texts: usize,
    voices: &'static [&'static str],
    accents: &'static [&'static str],
    seed: u64,
    noises: usize,
}

const TUNING: Set =
    Set { texts: 0, voices: &["m1", "m3", "m5", "f1", "f3"], accents: &["en-us", "en-gb"], seed: 1, noises: 2 };
const HELD_OUT: Set = Set {
    texts: 1,
    voices: &["m2", "m4", "m6", "m7", "f2", "f4"],
    accents: &["en-us", "en-gb", "en-gb-scotland"],
    seed: 1_000_003,
    noises: 3,
};

/// What espeak-ng says, at 8 kHz.
fn say(text: &str, voice: &str, speed: u64) -> Vec<i16> {
    let directory = PathBuf::from(std::env::temp_dir()).join("tandem-machine");
    std::fs::create_dir_all(&directory).unwrap();
    let name = text.bytes().fold(speed, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let file = directory.join(format!("{voice}-{name:x}.wav"));
    if !file.exists() {
        let status =
            Command::new("espeak-ng").args(["-v", voice, "-s", &speed.to_string(), "-w"]).arg(&file).arg(text).status();
        assert!(status.is_ok_and(|status| status.success()), "espeak-ng is needed: apt-get install espeak-ng");
    }
    let bytes = std::fs::read(&file).unwrap();
    media::prompt::decode("voice", &bytes, "wav").unwrap().samples().to_vec()
}

/// One call's first ten seconds, as they are heard.
fn item(speech: &[i16], machine: bool, noise: usize, rng: &mut Rng) -> Vec<i16> {
    let peak = speech.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(1).max(1);
    let loudness = 2_500.0 + rng.below(14_000) as f32;
    let mut line = vec![0.0f32; 1_200 + rng.below(9_000) as usize];
    line.extend(speech.iter().map(|&sample| f32::from(sample) * loudness / f32::from(peak)));
    if machine {
        line.extend(std::iter::repeat_n(0.0, 2_000 + rng.below(8_000) as usize));
        let (hertz, length) = (440.0 + rng.below(1_600) as f32, 1_600 + rng.below(8_000) as usize);
        line.extend((0..length).map(|n| loudness * 0.6 * (std::f32::consts::TAU * hertz * n as f32 / 8_000.0).sin()));
    } else if rng.chance(0.3) {
        line.extend(std::iter::repeat_n(0.0, 20_000));
        line.extend(speech.iter().map(|&sample| f32::from(sample) * loudness / f32::from(peak)));
    }
    line.resize(100_000, 0.0);
    let (hiss, hum) = [(0.0, 0.0), (60.0, 20.0), (180.0, 60.0)][noise];
    let codec = if rng.chance(0.5) { Codec::Pcmu } else { Codec::Pcma };
    let mut low = 0.0f32;
    line.iter()
        .enumerate()
        .map(|(n, &sample)| {
            let white = rng.below(2_001) as f32 / 1_000.0 - 1.0;
            low = 0.6 * low + 0.4 * white;
            let hum = hum * (std::f32::consts::TAU * 50.0 * n as f32 / 8_000.0).sin();
            let sample = (sample + hiss * 2.0 * low + hum).clamp(-32_768.0, 32_767.0) as i16;
            codec.decode_sample(codec.encode_sample(sample))
        })
        .collect()
}

fn decide(line: &[i16]) -> Option<Decision> {
    let mut detector = MachineDetector::new(MachineConfig::default());
    line.chunks_exact(80).find_map(|frame| detector.push(frame))
}

fn main() {
    let set = if std::env::args().any(|argument| argument == "tune") { TUNING } else { HELD_OUT };
    let mut rng = Rng::from_u64(set.seed);
    let mut matrix: BTreeMap<(&str, String), u32> = BTreeMap::new();
    let mut reasons: BTreeMap<(&str, String), u32> = BTreeMap::new();
    let mut times: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let mut items = 0;
    for (machine, texts) in [(false, &PEOPLE), (true, &MACHINES)] {
        let truth = if machine { "machine" } else { "person" };
        for text in texts.iter().skip(set.texts).step_by(2) {
            for (accent, voice) in
                set.accents.iter().flat_map(|accent| set.voices.iter().map(move |voice| (accent, voice)))
            {
                let speech = say(text, &format!("{accent}+{voice}"), 140 + rng.below(60));
                for noise in 0..set.noises {
                    let line = item(&speech, machine, noise, &mut rng);
                    let decision = decide(&line);
                    items += 1;
                    let answerer = decision.map_or(Answerer::Unknown, |decision| decision.answerer);
                    *matrix.entry((truth, format!("{answerer:?}"))).or_default() += 1;
                    let reason = decision.map_or("none".to_owned(), |decision| name(decision.reason).to_owned());
                    *reasons.entry((truth, format!("{answerer:?} by {reason}"))).or_default() += 1;
                    times.entry(truth).or_default().extend(decision.map(|decision| decision.at_ms));
                }
            }
        }
    }
    println!("{items} items");
    println!("{:>10} {:>8} {:>8} {:>8}", "", "Human", "Machine", "Unknown");
    for truth in ["person", "machine"] {
        let count = |decided: &str| matrix.get(&(truth, decided.to_owned())).copied().unwrap_or(0);
        println!("{truth:>10} {:>8} {:>8} {:>8}", count("Human"), count("Machine"), count("Unknown"));
    }
    for ((truth, reason), count) in &reasons {
        println!("{truth}: {reason}: {count}");
    }
    for (truth, times) in &mut times {
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        println!("{truth}: decided at {} ms (median), {} (90 %), {} (99 %)", at(0.5), at(0.9), at(0.99));
    }
}

fn name(reason: Reason) -> &'static str {
    match reason {
        Reason::ShortGreeting { .. } => "a short greeting",
        Reason::LongGreeting { .. } => "a long greeting",
        Reason::ManyWords { .. } => "many words",
        Reason::Beep { .. } => "a beep",
        Reason::Silent => "silence",
        Reason::TimedOut => "the limit",
    }
}
