//! What a call's program asks for, done: by media commands, by other calls, by errands to the world outside.
//!
//! The program is told of every outcome, and goes on after the caller has gone for as long as it owes something to others
//! (the action of a recording, the callback of a dial: TWILIO.md §4.3).

use super::talking::Talk;
use super::{Call, Stage};
use crate::desk::{Desk, Wake};
use crate::ending::Ending;
use crate::errand::{Asked, Brought, Errand};
use crate::{Direction, Fact, GatherEnd, Origin, Status};
use base::Now;
use ivr::{CallContext, GatherReason, Gathered, Input, Output, PlayId, Program};
use std::collections::VecDeque;
use std::time::Duration;

/// How long a program may go on after its call has ended: two slow web servers, each with a retry.
const AFTERLIFE: Duration = Duration::from_secs(60);
/// How long a key is held that the program presses, and the pause after it, in milliseconds.
const KEY_MS: (u16, u16) = (100, 100);
/// What `w` and `W` among the keys mean, in milliseconds.
const WAITS_MS: [(char, u64); 2] = [('w', 500), ('W', 1_000)];
/// Runs of keys that wait to be pressed. More of the API's are refused, with a warning; a program has one string at once.
const MAX_RUNS: usize = 256;
/// Keys in one press: what the media engine takes.
const MAX_PRESSED: usize = 32;

/// A sound that a program has asked for.
#[derive(Debug)]
pub(super) struct Playing {
    /// As the record names it.
    pub(super) name: String,
    /// How often it is to be played, while it is still being fetched.
    pub(super) awaited: Option<u32>,
}

/// Keys that a program presses: runs of them, and when the next is due.
#[derive(Debug)]
pub(super) struct Pressing {
    /// The program's name for it; keys of the API have none.
    play: Option<PlayId>,
    rest: VecDeque<(String, Duration)>,
}

impl Pressing {
    /// The keys in runs, each with how long it takes with the waits behind it.
    pub(super) fn of(play: Option<PlayId>, keys: &str) -> Self {
        let mut rest: VecDeque<(String, Duration)> = VecDeque::new();
        let per_key = Duration::from_millis(u64::from(KEY_MS.0) + u64::from(KEY_MS.1));
        for key in keys.chars() {
            let wait = WAITS_MS.iter().find(|(wait, _)| *wait == key).map(|(_, ms)| Duration::from_millis(*ms));
            match (rest.back_mut(), wait) {
                (Some((_, takes)), Some(wait)) => *takes += wait,
                (None, Some(wait)) => rest.push_back((String::new(), wait)),
                // A wait ends a run.
                (Some((run, takes)), None)
                    if run.len() < MAX_PRESSED && *takes == per_key * run.len() as u32 && !run.is_empty() =>
                {
                    run.push(key);
                    *takes += per_key;
                }
                (_, None) => rest.push_back((key.to_string(), per_key)),
            }
        }
        Self { play, rest }
    }

    /// More keys, behind those that wait; false where they would be too many.
    pub(super) fn add(&mut self, keys: &str) -> bool {
        let more = Self::of(None, keys).rest;
        let fits = self.rest.len() + more.len() <= MAX_RUNS;
        if fits {
            self.rest.extend(more);
        }
        fits
    }
}

impl Call {
    /// Who is on the call, as its program's requests say it.
    pub(super) fn context(&self, desk: &Desk) -> CallContext {
        CallContext {
            call_sid: self.sid.to_string(),
            account_sid: desk.account_of(&self.about.tenant),
            from: self.about.from.clone(),
            to: self.about.to.clone(),
            direction: match self.about.direction {
                Direction::Inbound => ivr::Direction::Inbound,
                Direction::OutboundApi => ivr::Direction::OutboundApi,
                Direction::OutboundDial => ivr::Direction::OutboundDial,
            },
            parent_call_sid: self.about.parent.map(|sid| sid.to_string()),
            answered_by: self.answered_by.clone(),
            ..CallContext::default()
        }
    }

    /// What the call does or is to do: while it rings at others too.
    pub(super) fn running(&mut self) -> Option<&mut Talk> {
        match &mut self.stage {
            Stage::Talking(talk) => Some(talk),
            Stage::Alerting(alerting) => Some(&mut alerting.talk),
            Stage::Accepting(accepting) => Some(&mut accepting.talk),
            _ => None,
        }
    }

    /// The program, also that of a call that has ended.
    pub(super) fn program(&mut self) -> Option<&mut Program> {
        match self.stage {
            Stage::Closing(_) | Stage::Over => self.after.as_mut(),
            _ => self.running()?.program.as_mut(),
        }
    }

    /// Tells the program, and does what it asks for.
    pub(crate) fn on_program(&mut self, input: Input, desk: &mut Desk, now: Now) {
        let Some(input) = self.for_waiting(input, desk, now) else { return };
        let Some(program) = self.program() else { return };
        program.handle(input, now);
        self.drain_program(desk, now);
    }

    pub(super) fn drain_program(&mut self, desk: &mut Desk, now: Now) {
        while let Some(program) = self.program() {
            match program.poll() {
                Output::Timeout(at) => {
                    match at {
                        Some(at) => self.alarms.wake_at(Wake::Program, at, desk),
                        None => self.alarms.stop(Wake::Program, desk),
                    }
                    break;
                }
                output => self.obey(output, desk, now),
            }
        }
        if self.after.as_ref().is_some_and(Program::is_done) {
            self.forget_program(desk);
        }
    }

    /// The call has ended: what its program still owes is done, and no more.
    pub(super) fn outlive(&mut self, program: Option<Program>, desk: &mut Desk, now: Now) {
        self.after = program;
        if self.after.is_some() {
            self.alarms.wake(Wake::Afterlife, AFTERLIFE, desk, now);
            self.on_program(Input::Ended, desk, now);
        }
    }

    /// It owes nothing more, or has had its time.
    pub(super) fn forget_program(&mut self, desk: &mut Desk) {
        self.after = None;
        self.alarms.stop(Wake::Afterlife, desk);
        self.alarms.stop(Wake::Program, desk);
    }

    pub(super) fn obey(&mut self, output: Output, desk: &mut Desk, now: Now) {
        match output {
            Output::Answer => self.accept(Some(Input::Start), desk, now),
            Output::Play { play, prompt, repeat } => self.play(play, prompt.as_str(), repeat, desk, now),
            Output::PlayUrl { play, url, repeat } => {
                self.await_sound(play, url.to_string(), repeat);
                self.errand(Asked::Sound { play, url }, desk);
            }
            Output::Say { play, say } => {
                self.await_sound(play, format!("say: {}", excerpt(&say.text)), say.repeat);
                self.errand(Asked::Say { play, say }, desk);
            }
            Output::SendDigits { play, keys } => {
                self.pressing = Some(Pressing::of(Some(play), &keys));
                self.press_next(desk, now);
            }
            Output::StopPlay { play } => self.stop_sound(play, desk),
            Output::Echo(on) => self.with_media(desk, |id| media::Command::Echo { id, on }),
            Output::Record { record, options } => self.record_caller(record, &options, desk, now),
            Output::StopRecord { record } => self.stop_recording(record, desk),
            Output::Conference { conference, room, options } => {
                self.enter_room(conference, room, &options, desk, now);
            }
            Output::LeaveConference { .. } => self.leave_room(desk, now),
            Output::Bridge { bridge, with } => self.start_bridge(bridge, *with, desk, now),
            Output::Unbridge { bridge } => {
                let told = self.bridge_news(&Ending::cleared(Origin::Program, "the program went on"), now);
                self.take_bridge_apart(desk, now);
                if let (Some(told), Some(program)) = (told, self.program()) {
                    // A program that has asked for the end of a conversation waits for it; another does not.
                    program.handle(told, now);
                } else if let Some(program) = self.program() {
                    let end = ivr::BridgeEnd::default();
                    program.handle(Input::BridgeEnded { bridge, end }, now);
                }
            }
            Output::Refer { refer, to } => self.refer_caller(Some(refer), to, desk, now),
            Output::Fetch { fetch, request } => self.errand(Asked::Fetch { fetch, request }, desk),
            Output::Flow { fetch, name } => self.errand(Asked::Flow { fetch, name }, desk),
            Output::Callback { request } => self.errand(Asked::Callback { request }, desk),
            Output::Tell { event, request } => self.owe(event, &request, desk, now),
            Output::Gathered(gathered) => self.record(gathered_fact(gathered), desk, now),
            Output::Warning(warning) => self.warn(warning.code, warning.message, desk, now),
            Output::Listen { listen, speech } => self.begin_hearing(listen, speech, desk, now),
            Output::StopListen { listen } => self.end_hearing(listen, desk),
            Output::Join => self.screened(desk),
            Output::Reject { status } => {
                let status_word = if status == 486 || status == 600 { Status::Busy } else { Status::Failed };
                let ending = Ending::new(status_word, Origin::Program, status, "the program refused the call");
                self.end(ending, desk, now);
            }
            Output::Hangup => {
                let ending = self.end_of_program();
                self.end(ending, desk, now);
            }
            Output::Timeout(_) => {}
        }
    }

    /// A fact for whoever wonders why something was not done. A call whose books are closed says it in the log.
    pub(super) fn warn(&mut self, code: u32, message: String, desk: &mut Desk, now: Now) {
        tracing::info!(code, message, "the program warns");
        if !matches!(self.stage, Stage::Over) {
            self.record(Fact::Warning { code, message }, desk, now);
        }
    }

    pub(super) fn errand(&self, asked: Asked, desk: &mut Desk) {
        let errand = Errand { sid: self.sid, tenant: self.about.tenant.clone(), asked };
        desk.out.push_back(crate::Output::Errand(Box::new(errand)));
    }

    /// What an errand has brought.
    pub(crate) fn on_brought(&mut self, brought: Brought, desk: &mut Desk, now: Now) {
        match brought {
            Brought::Response { fetch, result } => self.on_program(Input::Fetched { fetch, result }, desk, now),
            Brought::Flow { fetch, flow } => self.on_program(Input::FlowFound { fetch, flow }, desk, now),
            Brought::Sound { play, sound } => self.on_sound(play, sound, desk, now),
            Brought::WrittenDown { listen, result } => self.on_written_down(listen, result, desk, now),
            Brought::Prompt { play, known } => {
                let name =
                    self.running().and_then(|talk| talk.playing.get(&play.0)).map(|playing| playing.name.clone());
                let prompt = name.and_then(|name| desk.prompts.get(&name).cloned());
                let sound = known.and_then(|()| prompt.ok_or_else(|| "too many prompts are known".to_owned()));
                self.on_sound(play, sound, desk, now);
            }
        }
    }

    fn await_sound(&mut self, play: PlayId, name: String, repeat: u32) {
        if let Some(talk) = self.running() {
            talk.playing.insert(play.0, Playing { name, awaited: Some(repeat) });
        }
    }

    fn on_sound(
        &mut self,
        play: PlayId,
        sound: Result<std::sync::Arc<media::Prompt>, String>,
        desk: &mut Desk,
        now: Now,
    ) {
        // One that was stopped meanwhile is not played.
        let Some(playing) = self.running().and_then(|talk| talk.playing.get_mut(&play.0)) else { return };
        let Some(repeat) = playing.awaited.take() else { return };
        let name = playing.name.clone();
        match sound {
            Ok(prompt) => {
                self.record(Fact::Playing { prompt: name }, desk, now);
                self.with_media(desk, |id| media::Command::Play { id, play: playback(play), prompt, repeat });
            }
            Err(why) => {
                if let Some(talk) = self.running() {
                    talk.playing.remove(&play.0);
                }
                self.warn(0, format!("{name} cannot be played: {why}"), desk, now);
                self.on_program(Input::PlayEnded { play }, desk, now);
            }
        }
    }

    pub(super) fn stop_sound(&mut self, play: PlayId, desk: &mut Desk) {
        if self.pressing.as_ref().is_some_and(|pressing| pressing.play == Some(play)) {
            self.pressing = None;
            self.alarms.stop(Wake::Keys, desk);
        }
        let Some(talk) = self.running() else { return };
        if talk.playing.get(&play.0).is_some_and(|playing| playing.awaited.is_some()) {
            talk.playing.remove(&play.0);
            return;
        }
        self.with_media(desk, |id| media::Command::StopPlay { id, play: playback(play) });
    }

    /// The next run of keys, or the end of them.
    pub(super) fn press_next(&mut self, desk: &mut Desk, now: Now) {
        let Some(pressing) = &mut self.pressing else { return };
        match pressing.rest.pop_front() {
            Some((keys, takes)) => {
                self.alarms.wake(Wake::Keys, takes, desk, now);
                for key in keys.chars() {
                    self.press(key, desk, now);
                }
            }
            None => {
                let play = pressing.play;
                self.pressing = None;
                if let Some(play) = play {
                    self.on_program(Input::PlayEnded { play }, desk, now);
                }
            }
        }
    }

    fn play(&mut self, play: PlayId, name: &str, repeat: u32, desk: &mut Desk, now: Now) {
        let Some(talk) = self.running() else { return };
        match desk.prompts.get(name).cloned() {
            Some(prompt) => {
                talk.playing.insert(play.0, Playing { name: name.to_owned(), awaited: None });
                self.record(Fact::Playing { prompt: name.to_owned() }, desk, now);
                self.with_media(desk, |id| media::Command::Play { id, play: playback(play), prompt, repeat });
            }
            None => {
                // The API and the configuration see to the prompts of their programs; a document may name any.
                self.await_sound(play, name.to_owned(), repeat);
                self.errand(Asked::Prompt { play, name: name.to_owned() }, desk);
            }
        }
    }
}

/// A playback's name toward the media engine: the program's own number.
pub(super) fn playback(play: PlayId) -> media::PlayId {
    media::PlayId(u64::from(play.0))
}

fn gathered_fact(gathered: Gathered) -> Fact {
    let reason = match gathered.reason {
        GatherReason::FinishKey => GatherEnd::FinishKey,
        GatherReason::MaxDigits => GatherEnd::MaxDigits,
        GatherReason::Timeout => GatherEnd::Timeout,
        GatherReason::NoInput => GatherEnd::NoInput,
        GatherReason::Speech => GatherEnd::Speech,
    };
    Fact::Gathered { digits: gathered.digits, reason }
}

/// The beginning of a text, as a record shows it.
fn excerpt(text: &str) -> String {
    const SHOWN: usize = 60;
    let shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() { shown + "…" } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(keys: &str) -> Vec<(String, u64)> {
        Pressing::of(Some(PlayId(1)), keys)
            .rest
            .into_iter()
            .map(|(run, takes)| (run, takes.as_millis() as u64))
            .collect()
    }

    #[test]
    fn keys_are_pressed_in_runs_with_the_waits_between_them() {
        assert_eq!(runs("12"), [("12".to_owned(), 400)]);
        assert_eq!(runs("w1w2W"), [(String::new(), 500), ("1".to_owned(), 700), ("2".to_owned(), 1_200)]);
        assert_eq!(runs(""), []);
    }

    #[test]
    fn a_text_is_shown_by_its_beginning() {
        assert_eq!(excerpt("Hello"), "Hello");
        assert_eq!(excerpt(&"ü".repeat(61)).chars().count(), 61);
    }
}
