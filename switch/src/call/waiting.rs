//! The document that is run for a member while its conference has not begun (TWILIO.md §4.3, 17): a program beside the
//! call's own, which waits for the end of the stay.
//!
//! Both number what they ask for from 1; in the switch the numbers of this one are moved apart.

use super::Call;
use crate::Origin;
use crate::desk::{Desk, Wake};
use crate::ending::Ending;
use base::Now;
use ivr::{Action, Fetch, FetchId, Input, Link, Method, Output, PlayId, Program};
use url::Url;

/// Where the numbers of such a program begin: no call's own program plays or fetches so often
/// ([`MAX_STEPS`](ivr::limits::MAX_STEPS)).
const APART: u32 = 1 << 30;

/// What it asks for, under its number in the switch.
fn apart(output: Output) -> Output {
    let moved = |play: PlayId| PlayId(play.0.saturating_add(APART));
    match output {
        Output::Play { play, prompt, repeat } => Output::Play { play: moved(play), prompt, repeat },
        Output::PlayUrl { play, url, repeat } => Output::PlayUrl { play: moved(play), url, repeat },
        Output::Say { play, say } => Output::Say { play: moved(play), say },
        Output::StopPlay { play } => Output::StopPlay { play: moved(play) },
        Output::Fetch { fetch, request } => Output::Fetch { fetch: FetchId(fetch.0.saturating_add(APART)), request },
        other => other,
    }
}

impl Call {
    /// Somebody waits for a conference to begin.
    pub(super) fn begin_waiting(&mut self, url: Url, method: Method, desk: &mut Desk, now: Now) {
        let fetch = Fetch { action: Action { link: Link::Url(url), method }, fallback: None };
        let mut program = Program::waiting(fetch, self.context(desk));
        program.handle(Input::Start, now);
        self.waiting = Some(Box::new(program));
        self.drain_waiting(desk, now);
    }

    /// It has begun, or the member has left.
    pub(super) fn end_waiting(&mut self, desk: &mut Desk) {
        if self.waiting.take().is_none() {
            return;
        }
        self.alarms.stop(Wake::Waiting, desk);
        let heard = self.running().map(|talk| talk.playing.keys().copied().filter(|n| *n >= APART).collect::<Vec<_>>());
        for number in heard.unwrap_or_default() {
            self.stop_sound(PlayId(number), desk);
        }
    }

    /// An input for it is taken; one for the call's own program is given back.
    pub(super) fn for_waiting(&mut self, input: Input, desk: &mut Desk, now: Now) -> Option<Input> {
        let own = match input {
            Input::PlayEnded { play } if play.0 >= APART => Input::PlayEnded { play: PlayId(play.0 - APART) },
            Input::Fetched { fetch, result } if fetch.0 >= APART => {
                Input::Fetched { fetch: FetchId(fetch.0 - APART), result }
            }
            other => return Some(other),
        };
        self.on_waiting(own, desk, now);
        None
    }

    pub(super) fn on_waiting(&mut self, input: Input, desk: &mut Desk, now: Now) {
        if let Some(program) = &mut self.waiting {
            program.handle(input, now);
            self.drain_waiting(desk, now);
        }
    }

    fn drain_waiting(&mut self, desk: &mut Desk, now: Now) {
        while let Some(program) = &mut self.waiting {
            match program.poll() {
                Output::Timeout(at) => {
                    match at {
                        Some(at) => self.alarms.wake_at(Wake::Waiting, at, desk),
                        None => self.alarms.stop(Wake::Waiting, desk),
                    }
                    return;
                }
                Output::Hangup => {
                    self.end_waiting(desk);
                    return self.end(Ending::cleared(Origin::Program, "the waiting document hung up"), desk, now);
                }
                output @ (Output::Play { .. }
                | Output::PlayUrl { .. }
                | Output::Say { .. }
                | Output::StopPlay { .. }
                | Output::Fetch { .. }
                | Output::Callback { .. }
                | Output::Tell { .. }
                | Output::Warning(_)) => self.obey(apart(output), desk, now),
                other => {
                    let what = format!("a waiting document plays, says, pauses and redirects; left out is: {other}");
                    self.warn(0, what, desk, now);
                }
            }
        }
    }
}
