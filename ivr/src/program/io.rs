//! What crosses between the machine and whoever drives it: plain values. Each output says what the driver owes for it.

use super::ends::{BridgeEnd, ConferenceEnd, Recording, ReferEnd};
use crate::answer::{Bridge, ConferenceOptions, RecordOptions, Say, Speech};
use crate::flow::Flow;
use crate::http::{FetchFault, HttpRequest, Response};
use crate::prompt::PromptName;
use serde::Serialize;
use std::sync::Arc;
use url::Url;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $name(pub u32);
    )*};
}

ids! {
    /// One playing of a prompt, a file, speech or keys, numbered by the machine from 1.
    PlayId;
    /// One bridge, numbered by the machine from 1.
    BridgeId;
    /// One recording, numbered by the machine from 1.
    RecordId;
    /// One stay in a conference, numbered by the machine from 1.
    ConferenceId;
    /// One exchange with a web server, or one look for a flow, numbered by the machine from 1; a retry is a new one.
    FetchId;
    /// One time of listening for speech, numbered by the machine from 1.
    ListenId;
    /// One referral, numbered by the machine from 1.
    ReferId;
}

/// What has happened. What no state waits for is ignored, so that reports may cross with what is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The call is there and not answered: begin with what needs no answer. [`Output::Answer`] asks for one.
    Early,
    /// The call is answered and audio flows: begin, or go on after [`Output::Answer`].
    Start,
    /// A prompt has come to its end, or could not be played. Of a prompt that was stopped it may come or not.
    PlayEnded {
        /// Which playing.
        play: PlayId,
    },
    /// A recording has begun, after its tone. Only its sid and its time matter yet.
    RecordStarted {
        /// Which recording.
        record: RecordId,
        /// What is known of it.
        recording: Recording,
    },
    /// A recording is over: by silence, its length, [`Output::StopRecord`], the end of the call, or a fault.
    RecordEnded {
        /// Which recording.
        record: RecordId,
        /// What it is.
        recording: Recording,
    },
    /// Somebody has answered a bridge and is joined with the caller (after a screening, where there is one).
    BridgeAnswered {
        /// Which bridge.
        bridge: BridgeId,
    },
    /// A bridge is over: nobody answered, or whoever did has gone. Of one that was taken apart it may come or not.
    BridgeEnded {
        /// Which bridge.
        bridge: BridgeId,
        /// How.
        end: BridgeEnd,
    },
    /// The caller is no longer in a conference. Of one that it was asked to leave it may come or not.
    ConferenceEnded {
        /// Which stay.
        conference: ConferenceId,
        /// How.
        end: ConferenceEnd,
    },
    /// What has become of a referral.
    ReferEnded {
        /// Which.
        refer: ReferId,
        /// How.
        end: ReferEnd,
    },
    /// An exchange is over.
    Fetched {
        /// Which.
        fetch: FetchId,
        /// What came back, or why nothing did.
        result: Result<Response, FetchFault>,
    },
    /// A flow was looked for.
    FlowFound {
        /// For which look.
        fetch: FetchId,
        /// Its newest version; none where there is no such flow.
        flow: Option<Arc<Flow>>,
    },
    /// The caller has pressed a key: `0`-`9`, `*`, `#`, `A`-`D`. Other characters are ignored.
    Digit(char),
    /// The caller has begun to speak.
    SpeechStarted {
        /// To which listener.
        listen: ListenId,
    },
    /// What is understood so far.
    SpeechPartial {
        /// By which listener.
        listen: ListenId,
        /// The words that will not change.
        stable: String,
        /// Those that may.
        unstable: String,
    },
    /// What the caller has said; empty where nothing was understood.
    SpeechResult {
        /// By which listener.
        listen: ListenId,
        /// The words.
        text: String,
        /// How sure the recogniser is, in thousandths, where it says so.
        confidence: Option<u16>,
    },
    /// The time asked for with [`Output::Timeout`] has come. An early one is ignored.
    Timeout,
    /// The call is gone. Nothing that a caller could hear is asked for any more; what is still owed to others
    /// ([`Output::Callback`], [`Output::Tell`], [`Output::Fetch`], [`Output::Flow`]) is, until [`Program::is_done`](super::Program::is_done).
    Ended,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Answer the call, and say [`Input::Start`] when audio flows. Only after [`Input::Early`], and once.
    Answer,
    /// Play a prompt, and say [`Input::PlayEnded`] at its end or where it cannot be played.
    Play {
        /// This playing's number.
        play: PlayId,
        /// Which prompt.
        prompt: PromptName,
        /// How often, in a row; 0: until stopped.
        repeat: u32,
    },
    /// Fetch a sound file (GET, cached), play it, and say [`Input::PlayEnded`] as for a prompt.
    PlayUrl {
        /// This playing's number.
        play: PlayId,
        /// Where it is.
        url: Url,
        /// How often, in a row; 0: until stopped.
        repeat: u32,
    },
    /// Speak, and say [`Input::PlayEnded`] as for a prompt.
    Say {
        /// This playing's number.
        play: PlayId,
        /// What, by whom, how often.
        say: Say,
    },
    /// Send keys to the caller (RFC 4733); `w` is half a second of silence, `W` a whole one. [`Input::PlayEnded`] follows.
    SendDigits {
        /// This playing's number.
        play: PlayId,
        /// Which keys.
        keys: String,
    },
    /// Stop a prompt, file, speech or keys that were asked for; nothing where they have ended already.
    StopPlay {
        /// Which playing.
        play: PlayId,
    },
    /// Listen for speech: [`Input::SpeechStarted`], partial results where the options name somebody who wants them, and
    /// one [`Input::SpeechResult`] at the end of an utterance; nothing where nobody speaks.
    Listen {
        /// This listener's number.
        listen: ListenId,
        /// How.
        speech: Speech,
    },
    /// Stop listening; what was heard is of no use.
    StopListen {
        /// Which listener.
        listen: ListenId,
    },
    /// Record the caller by these options, say [`Input::RecordStarted`] when that begins, and [`Input::RecordEnded`] when
    /// it is over, for whatever reason; also after the caller has gone.
    Record {
        /// This recording's number.
        record: RecordId,
        /// How.
        options: RecordOptions,
    },
    /// End a recording, and say [`Input::RecordEnded`].
    StopRecord {
        /// Which recording.
        record: RecordId,
    },
    /// Call these, join the caller with the one who answers, say [`Input::BridgeAnswered`] then, and
    /// [`Input::BridgeEnded`] when it is over; also after the caller has gone. A call that is not answered yet is
    /// answered, and [`Input::Start`] said, when the called answers. The machine keeps the time limit and the `*`.
    Bridge {
        /// This bridge's number.
        bridge: BridgeId,
        /// Who is called, and how.
        with: Box<Bridge>,
    },
    /// Take a bridge apart and end the calls that were made for it; nothing where it is over already. What is reported
    /// of it then ([`Input::BridgeEnded`]) is waited for at most [`SETTLE_S`](crate::limits::SETTLE_S) seconds.
    Unbridge {
        /// Which bridge.
        bridge: BridgeId,
    },
    /// Put the caller into a conference, and say [`Input::ConferenceEnded`] when the caller is no longer in it.
    Conference {
        /// This stay's number.
        conference: ConferenceId,
        /// The conference's name, within the tenant.
        room: String,
        /// How.
        options: Box<ConferenceOptions>,
    },
    /// Take the caller out of a conference, and say [`Input::ConferenceEnded`].
    LeaveConference {
        /// Which stay.
        conference: ConferenceId,
    },
    /// Refer the caller (RFC 3515), and say [`Input::ReferEnded`] with the last that its NOTIFYs said.
    Refer {
        /// This referral's number.
        refer: ReferId,
        /// A SIP URI or a number.
        to: String,
    },
    /// Make one exchange, without following redirections, and say [`Input::Fetched`]. [`HttpRequest`] says what else is
    /// owed.
    Fetch {
        /// This exchange's number.
        fetch: FetchId,
        /// What is sent.
        request: HttpRequest,
    },
    /// Look for a flow of the tenant, and say [`Input::FlowFound`].
    Flow {
        /// This look's number.
        fetch: FetchId,
        /// Its name.
        name: String,
    },
    /// Make an exchange whose response nobody waits for, with retries as the driver likes; it may not hold up the call.
    Callback {
        /// What is sent.
        request: HttpRequest,
    },
    /// As [`Output::Callback`], to somebody who is to hear of it even where the process that owes it dies first: of a
    /// recording.
    Tell {
        /// What it tells: `recording-completed`.
        event: String,
        /// What is sent.
        request: HttpRequest,
    },
    /// Something is wrong with a document or a fetch: an event for the record.
    Warning(Warning),
    /// Begin, or stop, to send the caller's audio back.
    Echo(bool),
    /// A gather, or one attempt of it, is over: a fact for the record.
    Gathered(Gathered),
    /// Refuse a call that is not answered yet, with this SIP status. Nothing follows.
    Reject {
        /// 400 to 699.
        status: u16,
    },
    /// A screening is over and the called is to be joined with the caller ([`Program::screening`](super::Program::screening)).
    /// Nothing follows.
    Join,
    /// End the call. Nothing follows.
    Hangup,
    /// There is nothing more to ask for. Wake the machine with [`Input::Timeout`] at this time (monotonic nanoseconds);
    /// not at all where there is none. It takes the place of the time asked for before.
    Timeout(Option<u64>),
}

/// Something that is wrong and does not end the call by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Twilio's number for it (TWILIO.md §3.4): 12200 for a word that is not understood, 11200 for a failed fetch.
    pub code: u32,
    /// In words, with line and column where a document is meant.
    pub message: String,
}

impl Warning {
    pub(crate) fn new(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// What one attempt of a gather has brought.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gathered {
    /// What was entered, without the finish key; may be empty.
    pub digits: String,
    /// Why it is over.
    pub reason: GatherReason,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// What was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speech: Option<String>,
}

/// Why one attempt of a gather is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GatherReason {
    /// The finish key; nothing is entered where it came first (TWILIO.md §4.3, 1).
    FinishKey,
    /// As many digits as the gather takes.
    MaxDigits,
    /// Some digits, and then none for `timeout_s`.
    Timeout,
    /// No key at all for `timeout_s`.
    #[default]
    NoInput,
    /// The caller has said something.
    Speech,
}
