//! What crosses between the machine and whoever drives it: plain values.

use crate::answer::{Bridge, Play};
use crate::prompt::PromptName;
use serde::Serialize;
use std::collections::VecDeque;

/// One playing of a prompt, numbered by the machine from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PlayId(pub u32);

/// One bridge, numbered by the machine from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct BridgeId(pub u32);

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The call is answered and audio flows: begin.
    Start,
    /// A prompt has come to its end, or could not be played. Of a prompt that was stopped it may come or not.
    PlayEnded {
        /// Which playing.
        play: PlayId,
    },
    /// A bridge is over: nobody answered, or whoever did has gone. Of one that was taken apart it may come or not.
    BridgeEnded {
        /// Which bridge.
        bridge: BridgeId,
    },
    /// The caller has pressed a key: `0`-`9`, `*`, `#`, `A`-`D`. Other characters are ignored.
    Digit(char),
    /// The time asked for with [`Output::Timeout`] has come. An early one is ignored.
    Timeout,
    /// The call is gone. Nothing is asked for any more.
    Ended,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Play a prompt, and say [`Input::PlayEnded`] at its end.
    Play {
        /// This playing's number.
        play: PlayId,
        /// Which prompt.
        prompt: PromptName,
        /// How often, in a row; 0: until stopped.
        repeat: u32,
    },
    /// Stop a prompt that was asked for; nothing where it has ended already.
    StopPlay {
        /// Which playing.
        play: PlayId,
    },
    /// Call these, join the caller with the one who answers, and say [`Input::BridgeEnded`] when that is over.
    Bridge {
        /// This bridge's number.
        bridge: BridgeId,
        /// Who is called, and how.
        with: Bridge,
    },
    /// Take a bridge apart and end the calls that were made for it; nothing where it is over already.
    Unbridge {
        /// Which bridge.
        bridge: BridgeId,
    },
    /// Begin, or stop, to send the caller's audio back.
    Echo(bool),
    /// A gather, or one attempt of it, is over: a fact for the record.
    Gathered(Gathered),
    /// End the call. Nothing follows.
    Hangup,
    /// There is nothing more to ask for. Wake the machine with [`Input::Timeout`] at this time (monotonic nanoseconds);
    /// not at all where there is none. It takes the place of the time asked for before.
    Timeout(Option<u64>),
}

/// What one attempt of a gather has brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gathered {
    /// What was entered, without the finish key; may be empty.
    pub digits: String,
    /// Why it is over.
    pub reason: GatherReason,
    /// Which attempt, from 1.
    pub attempt: u32,
}

/// Why one attempt of a gather is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GatherReason {
    /// The finish key; nothing is entered where it came first (TWILIO.md §4.3, 1).
    FinishKey,
    /// As many digits as the gather takes.
    MaxDigits,
    /// Some digits, and then none for `timeout_s`.
    Timeout,
    /// No key at all for `timeout_s`.
    NoInput,
}

/// What is asked for and not yet polled. Its length is bounded by the program's: no verb runs twice.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Output>,
    plays: u32,
    bridges: u32,
}

impl Outbox {
    pub(super) fn push(&mut self, output: Output) {
        self.queue.push_back(output);
    }

    pub(super) fn take(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }

    /// Asks for a bridge.
    pub(super) fn bridge(&mut self, with: Bridge) -> BridgeId {
        self.bridges = self.bridges.wrapping_add(1);
        let id = BridgeId(self.bridges);
        self.push(Output::Bridge { bridge: id, with });
        id
    }

    /// Asks for a prompt.
    pub(super) fn play(&mut self, play: &Play) -> PlayId {
        self.plays = self.plays.wrapping_add(1);
        let id = PlayId(self.plays);
        self.push(Output::Play { play: id, prompt: play.prompt.clone(), repeat: play.repeat });
        id
    }
}
