//! What goes on around a simulated call, and how each thing ends: by the rules that the switch and its recorder keep.

use crate::answer::{Mode, RecordOptions};
use crate::program::{BridgeEnd, BridgeStatus, ConferenceEnd, Recording, ReferEnd};
use crate::{Bridge, BridgeId, ConferenceId, FetchId, Input, PlayId, RecordId, ReferId};
use base::{Now, millis, secs};

/// How long a transfer that is answered lasts: half a minute, in nanoseconds.
const TALK: u64 = secs(30);

/// How long it takes until a transfer has failed or was found busy, and a referral is done: one second, in nanoseconds.
const REFUSAL: u64 = secs(1);

/// How long a conference lasts that the caller does not leave: one minute, in nanoseconds.
const CONFERENCE: u64 = secs(60);

/// How long a file sounds of which nothing is known, in milliseconds.
pub(super) const FILE_MS: u64 = 3_000;

/// How long a letter takes to say, in milliseconds.
pub(super) const LETTER_MS: u64 = 60;

/// How long a key takes to send, in milliseconds.
pub(super) const KEY_MS: u64 = 200;

/// The shortest sound, in milliseconds.
const SHORTEST_MS: u64 = 500;

/// The one thing that goes on, and that the machine waits for.
#[derive(Clone, Debug, Default)]
pub(super) enum Going {
    #[default]
    Nothing,
    /// It ends then (monotonic nanoseconds); none: it goes on for ever.
    Sound {
        play: PlayId,
        end: Option<u64>,
    },
    /// A recording into which the caller speaks for so many nanoseconds from its beginning.
    Tape {
        record: RecordId,
        options: RecordOptions,
        began: Now,
        speaks: u64,
    },
    /// A transfer that ends so, then.
    Transfer {
        bridge: BridgeId,
        began: Now,
        status: BridgeStatus,
        end: u64,
    },
    Conference {
        conference: ConferenceId,
        end: u64,
    },
    Refer {
        refer: ReferId,
        end: u64,
    },
    Flow(FetchId, String),
    Http(FetchId),
}

impl Going {
    /// A sound of so many milliseconds, so many times; 0: for ever.
    pub(super) fn sound(play: PlayId, ms: u64, repeat: u32, now: Now) -> Self {
        let long = millis(ms.max(SHORTEST_MS)).saturating_mul(repeat.into());
        Self::Sound { play, end: (repeat > 0).then(|| now.mono.saturating_add(long)) }
    }

    pub(super) fn transfer(bridge: BridgeId, with: &Bridge, status: BridgeStatus, now: Now) -> Self {
        let lasts = match status {
            BridgeStatus::Completed => TALK,
            BridgeStatus::NoAnswer => secs(rings_s(with)),
            _ => REFUSAL,
        };
        Self::Transfer { bridge, began: now, status, end: now.mono.saturating_add(lasts) }
    }

    pub(super) const fn conference(conference: ConferenceId, now: Now) -> Self {
        Self::Conference { conference, end: now.mono.saturating_add(CONFERENCE) }
    }

    pub(super) const fn refer(refer: ReferId, now: Now) -> Self {
        Self::Refer { refer, end: now.mono.saturating_add(REFUSAL) }
    }

    /// When it ends by itself (monotonic nanoseconds).
    pub(super) fn end(&self) -> Option<u64> {
        match self {
            Self::Sound { end, .. } => *end,
            Self::Tape { options, began, speaks, .. } => {
                let longest = began.mono.saturating_add(secs(options.max_s.into()));
                Some(silent_at(options, *began, *speaks).map_or(longest, |silent| silent.min(longest)))
            }
            Self::Transfer { end, .. } | Self::Conference { end, .. } | Self::Refer { end, .. } => Some(*end),
            Self::Nothing | Self::Flow(..) | Self::Http(_) => None,
        }
    }

    /// True for what is also reported when the caller has gone, and when the machine asks for its end.
    pub(super) const fn is_reported(&self) -> bool {
        matches!(self, Self::Tape { .. } | Self::Transfer { .. } | Self::Conference { .. } | Self::Refer { .. })
    }

    /// It ends now, by itself or because it is ended: what is written of it, and what the machine is told.
    pub(super) fn over(self, now: Now) -> Option<(Option<String>, Input)> {
        Some(match self {
            Self::Sound { play, .. } => (None, Input::PlayEnded { play }),
            Self::Tape { record, options, began, speaks } => {
                let duration_s = taped_s(&options, began, speaks, now);
                let recording = Recording { duration_s, ..tape(began) };
                let line = format!("the recording ends: {duration_s} s");
                (Some(line), Input::RecordEnded { record, recording })
            }
            Self::Transfer { bridge, began, status, end } => {
                let bridged = status == BridgeStatus::Completed;
                let status = if bridged || end <= now.mono { status } else { BridgeStatus::Canceled };
                let duration_s = bridged.then(|| whole_s(now.mono.saturating_sub(began.mono)));
                let line = format!("the transfer ends: {}", status.as_str());
                let end = BridgeEnd { status, bridged, duration_s, ..BridgeEnd::default() };
                (Some(line), Input::BridgeEnded { bridge, end })
            }
            Self::Conference { conference, .. } => {
                let end = ConferenceEnd::default();
                (Some("the conference ends".to_owned()), Input::ConferenceEnded { conference, end })
            }
            Self::Refer { refer, .. } => {
                let end = ReferEnd { sip_status: Some(202), notify_status: Some(200) };
                (None, Input::ReferEnded { refer, end })
            }
            Self::Nothing | Self::Flow(..) | Self::Http(_) => return None,
        })
    }
}

/// A recording that has begun then.
pub(super) fn tape(began: Now) -> Recording {
    Recording {
        sid: "RE00000000000000000000000000000000".to_owned(),
        channels: 1,
        started_ms: began.wall,
        ..Recording::default()
    }
}

/// For how many seconds a transfer rings that nobody answers.
fn rings_s(with: &Bridge) -> u64 {
    let each = with.targets.iter().map(|target| u64::from(target.timeout_s));
    if with.mode == Mode::Sequential { each.sum() } else { each.max().unwrap_or_default() }
}

/// When a recording has been silent for as long as it lets (monotonic nanoseconds); none: it lets for ever.
fn silent_at(options: &RecordOptions, began: Now, speaks: u64) -> Option<u64> {
    let silence = (options.silence_s > 0).then(|| secs(options.silence_s.into()))?;
    Some(began.mono.saturating_add(speaks).saturating_add(silence))
}

/// The whole seconds of a recording that is over now: the silence that has ended it is no part of one that is trimmed.
fn taped_s(options: &RecordOptions, began: Now, speaks: u64, now: Now) -> u32 {
    let lasted = now.mono.saturating_sub(began.mono);
    let by_silence = silent_at(options, began, speaks).is_some_and(|silent| silent <= now.mono);
    whole_s(if by_silence && options.trim { speaks.min(lasted) } else { lasted })
}

fn whole_s(nanoseconds: u64) -> u32 {
    u32::try_from(nanoseconds / secs(1)).unwrap_or(u32::MAX)
}
