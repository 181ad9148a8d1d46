//! What is asked for and not yet polled, and the numbers of what was asked for. Its length is bounded by what one input
//! can ask for: at most [`MAX_STEPS`](crate::limits::MAX_STEPS) verbs, and each that waits is the last.

use super::io::{BridgeId, ConferenceId, FetchId, ListenId, Output, PlayId, RecordId, ReferId, Warning};
use crate::answer::{Bridge, Conference, RecordOptions, Sound, Speech};
use crate::http::HttpRequest;
use std::collections::VecDeque;

#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Output>,
    plays: u32,
    bridges: u32,
    records: u32,
    conferences: u32,
    refers: u32,
    fetches: u32,
    listens: u32,
    tokens: u32,
}

/// The number after `last`.
fn next(last: &mut u32) -> u32 {
    *last = last.wrapping_add(1);
    *last
}

impl Outbox {
    pub(super) fn push(&mut self, output: Output) {
        self.queue.push_back(output);
    }

    pub(super) fn warn(&mut self, code: u32, message: impl Into<String>) {
        self.push(Output::Warning(Warning::new(code, message)));
    }

    pub(super) fn take(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    /// The call is gone: only what is owed to others is still asked for.
    pub(super) fn keep_what_is_owed(&mut self) {
        self.queue.retain(|output| {
            matches!(
                output,
                Output::Callback { .. }
                    | Output::Tell { .. }
                    | Output::Fetch { .. }
                    | Output::Flow { .. }
                    | Output::Warning(_)
            )
        });
    }

    /// Drops the question for a document that nobody can hear any more.
    pub(super) fn drop_fetches(&mut self) {
        self.queue.retain(|output| !matches!(output, Output::Fetch { .. } | Output::Flow { .. }));
    }

    /// A number for the next thing that is asked of a web server, its retries included.
    pub(super) fn token(&mut self) -> u32 {
        next(&mut self.tokens)
    }

    pub(super) fn bridge(&mut self, with: Bridge) -> BridgeId {
        let bridge = BridgeId(next(&mut self.bridges));
        self.push(Output::Bridge { bridge, with: Box::new(with) });
        bridge
    }

    pub(super) fn record(&mut self, options: RecordOptions) -> RecordId {
        let record = RecordId(next(&mut self.records));
        self.push(Output::Record { record, options });
        record
    }

    pub(super) fn conference(&mut self, room: &Conference) -> ConferenceId {
        let conference = ConferenceId(next(&mut self.conferences));
        let options = Box::new(room.options.clone());
        self.push(Output::Conference { conference, room: room.room.clone(), options });
        conference
    }

    pub(super) fn refer(&mut self, to: String) -> ReferId {
        let refer = ReferId(next(&mut self.refers));
        self.push(Output::Refer { refer, to });
        refer
    }

    pub(super) fn fetch(&mut self, request: HttpRequest) -> FetchId {
        let fetch = FetchId(next(&mut self.fetches));
        self.push(Output::Fetch { fetch, request });
        fetch
    }

    pub(super) fn flow(&mut self, name: String) -> FetchId {
        let fetch = FetchId(next(&mut self.fetches));
        self.push(Output::Flow { fetch, name });
        fetch
    }

    pub(super) fn listen(&mut self, speech: Speech) -> ListenId {
        let listen = ListenId(next(&mut self.listens));
        self.push(Output::Listen { listen, speech });
        listen
    }

    /// Asks for a sound; none for silence, which nobody has to make.
    pub(super) fn play(&mut self, sound: &Sound) -> Option<PlayId> {
        if matches!(sound, Sound::Pause { .. }) {
            return None;
        }
        let play = PlayId(next(&mut self.plays));
        self.push(match sound {
            Sound::Prompt(prompt) => Output::Play { play, prompt: prompt.prompt.clone(), repeat: prompt.repeat },
            Sound::Url { url, repeat } => Output::PlayUrl { play, url: url.clone(), repeat: *repeat },
            Sound::Say(say) => Output::Say { play, say: say.clone() },
            Sound::Digits(keys) => Output::SendDigits { play, keys: keys.clone() },
            Sound::Pause { .. } => return None,
        });
        Some(play)
    }
}
