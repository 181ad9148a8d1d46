//! The body of the fuzz target `answer`: any text as a program, any caller in front of it. Compiled with the crate, so
//! that a change of the interface breaks here and not in a directory that no build visits.

use crate::{Answer, BridgeId, Input, Output, PlayId, Program};
use base::{Now, millis};

/// Inputs after which a caller who only listens must have reached the end, or a wait that only the end of the call
/// ends.
const MAX_STEPS: usize = 100_000;

/// Reads `data` as JSON up to the first zero byte, and as a caller's behaviour after it. Asserts that what is accepted
/// is written back canonically, and that the machine always ends or waits for a named input.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    let (text, caller) = data.split_at(data.iter().position(|byte| *byte == 0).unwrap_or(data.len()));
    let Ok(value) = serde_json::from_slice(text) else { return };
    let Ok(answer) = Answer::parse(&value) else { return };
    assert_eq!(serde_json::to_value(&answer).map(|written| Answer::parse(&written)).ok(), Some(Ok(answer.clone())));
    Caller::new(answer).listen(caller);
}

/// A driver and a caller in one: what plays, what time it is, and when the machine is to be woken.
struct Caller {
    program: Program,
    now: Now,
    playing: Option<(PlayId, u32)>,
    bridged: Option<BridgeId>,
    echoing: bool,
    wake: Option<u64>,
    hung_up: bool,
}

impl Caller {
    fn new(answer: Answer) -> Self {
        let program = Program::new(answer);
        Self { program, now: Now::default(), playing: None, bridged: None, echoing: false, wake: None, hung_up: false }
    }

    fn listen(mut self, behaviour: &[u8]) {
        self.give(Input::Start);
        for byte in behaviour {
            self.act(*byte);
        }
        for _ in 0..MAX_STEPS {
            match (self.playing, self.wake) {
                _ if self.program.is_done() => break,
                (None, None) if self.bridged.is_some() => self.part(),
                (Some((_, 0)), _) => self.give(Input::Ended),
                (Some((play, _)), _) => self.end(play),
                (None, Some(at)) => self.sleep_until(at),
                (None, None) => {
                    assert!(self.echoing, "waits for nothing that could come");
                    self.give(Input::Ended);
                }
            }
        }
        assert!(self.program.is_done(), "never ends");
    }

    fn act(&mut self, byte: u8) {
        match byte {
            0x00..=0x7f => self.give(Input::Digit(char::from(byte))),
            0x80..=0xbf => self.sleep_until(self.now.mono.saturating_add(millis(100) * u64::from(byte & 0x3f))),
            0xc0..=0xd7 => self.give(Input::PlayEnded { play: PlayId(u32::from(byte & 0x1f)) }),
            0xd8..=0xdf => self.give(Input::BridgeEnded { bridge: BridgeId(u32::from(byte & 0x07)) }),
            0xe0..=0xfc => self.give(Input::Timeout),
            0xfd..=0xfe => self.give(Input::Start),
            0xff => self.give(Input::Ended),
        }
    }

    fn end(&mut self, play: PlayId) {
        self.playing = None;
        self.give(Input::PlayEnded { play });
    }

    fn part(&mut self) {
        if let Some(bridge) = self.bridged.take() {
            self.give(Input::BridgeEnded { bridge });
        }
    }

    fn sleep_until(&mut self, at: u64) {
        self.now.mono = self.now.mono.max(at);
        if self.wake.is_some_and(|wake| wake <= self.now.mono) {
            self.give(Input::Timeout);
        }
    }

    fn give(&mut self, input: Input) {
        if let Input::PlayEnded { play } = &input
            && self.playing.is_some_and(|(current, _)| current == *play)
        {
            self.playing = None;
        }
        if let Input::BridgeEnded { bridge } = &input {
            self.bridged = self.bridged.filter(|current| current != bridge);
        }
        self.program.handle(input, self.now);
        loop {
            let output = self.program.poll();
            assert!(!self.hung_up || matches!(output, Output::Timeout(None)), "asks for {output:?} after the hang-up");
            match output {
                Output::Play { play, repeat, .. } => self.playing = Some((play, repeat)),
                Output::StopPlay { play } => self.playing = self.playing.filter(|(current, _)| *current != play),
                Output::Echo(on) => self.echoing = on,
                Output::Bridge { bridge, .. } => self.bridged = Some(bridge),
                Output::Unbridge { bridge } => self.bridged = self.bridged.filter(|current| *current != bridge),
                Output::Gathered(_) => {}
                Output::Hangup => self.hung_up = true,
                Output::Timeout(at) => break self.wake = at,
            }
        }
    }
}
