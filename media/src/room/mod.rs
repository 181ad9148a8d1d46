//! Rooms: conferences in which nobody hears themselves.
//!
//! Every ten milliseconds a room takes a frame of each member, sums those that sound, and makes one mix for all who are
//! silent, and one less its own voice for each who is not. A packet of the common mix is encoded once for all members of
//! a codec and packet time. All members are on one shard; a member's place in the mix follows from when its packet is
//! due, so that a shard that was late makes up for it like any player.

mod mix;
mod seat;
mod sound;

use crate::command::EndpointId;
use crate::prompt::Prompt;
use crate::record::{MAX_RECORDINGS, Tape};
use mix::Mix;
pub(crate) use mix::gather;
pub(crate) use seat::Seat;
use serde::{Deserialize, Serialize};
use sound::Sound;
use std::sync::Arc;

/// A room's name, chosen by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoomId(pub u64);

/// Rooms a shard holds. A `Join` that would make one more is answered by `Event::Failed`.
pub const MAX_ROOMS: usize = 2_000;

/// Members of one room. One more is answered by `Event::Failed`.
pub const MAX_MEMBERS: usize = 1_000;

/// Blocks of ten milliseconds that a room remembers: what a late shard makes up for, and the longest packet.
pub(crate) const BLOCKS: u64 = 32;

/// Milliseconds of one block.
pub(crate) const BLOCK_MS: u64 = 10;

/// Tones that sound at once; more take the oldest's place.
const MAX_SOUNDS: usize = 4;

/// What a room is like. Its first member's `Join` says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomOptions {
    /// Samples a second it mixes at: 8,000, 16,000 or 48,000. Members of any rate are taken.
    pub rate: u32,
    /// Everybody hears it when a member comes.
    pub join_tone: Option<Arc<Prompt>>,
    /// Everybody hears it when a member goes.
    pub leave_tone: Option<Arc<Prompt>>,
    /// Heard over and over by a member that is alone, and by all while a moderator is waited for.
    pub hold_music: Option<Arc<Prompt>>,
    /// Nobody hears anybody before a moderator is there.
    pub wait_for_moderator: bool,
}

impl Default for RoomOptions {
    fn default() -> Self {
        Self { rate: 16_000, join_tone: None, leave_tone: None, hold_music: None, wait_for_moderator: false }
    }
}

/// What a member may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberOptions {
    /// Is not heard.
    pub muted: bool,
    /// Hears nothing.
    pub deaf: bool,
    /// Is heard by this member only, and hears everybody: whispers.
    pub coach: Option<EndpointId>,
    /// Opens a room that waits for one.
    pub moderator: bool,
}

/// Who is in a room, by the slot of the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub id: EndpointId,
    pub slot: u32,
    pub options: MemberOptions,
}

/// One room.
#[derive(Debug)]
pub(crate) struct Room {
    pub id: RoomId,
    pub options: RoomOptions,
    pub members: Vec<Member>,
    pub mix: Mix,
    pub tapes: Vec<Tape>,
    sounds: Vec<Sound>,
    music: Option<Sound>,
    /// Who was loudest when somebody last spoke, and until which block that is not changed.
    pub speaker: Option<EndpointId>,
    pub speaker_until: u64,
}

impl Room {
    pub(crate) fn new(id: RoomId, options: RoomOptions, now_ms: u64) -> Self {
        let mix = Mix::new(options.rate, now_ms);
        let music = options.hold_music.clone().map(|music| Sound::new(music, options.rate, true));
        Self {
            id,
            options,
            members: Vec::new(),
            mix,
            tapes: Vec::with_capacity(MAX_RECORDINGS),
            sounds: Vec::with_capacity(MAX_SOUNDS),
            music,
            speaker: None,
            speaker_until: 0,
        }
    }

    /// When its next block is due, in milliseconds.
    pub(crate) fn due(&self) -> u64 {
        self.mix.due()
    }

    pub(crate) fn sound(&mut self, prompt: Option<Arc<Prompt>>) {
        let Some(prompt) = prompt else { return };
        if self.sounds.len() >= MAX_SOUNDS {
            self.sounds.remove(0);
        }
        self.sounds.push(Sound::new(prompt, self.options.rate, false));
    }

    /// Nobody is to be heard: a member is alone, or a moderator is waited for.
    pub(crate) fn waits(&self) -> bool {
        let open = !self.options.wait_for_moderator || self.members.iter().any(|member| member.options.moderator);
        self.members.len() < 2 || !open
    }

    /// Adds tones, or in place of voices the music, to the block that is being mixed.
    pub(crate) fn add_sounds(&mut self, waits: bool) {
        if waits && let Some(music) = &mut self.music {
            music.add(self.mix.total());
        }
        for sound in &mut self.sounds {
            sound.add(self.mix.total());
        }
        self.sounds.retain(|sound| !sound.is_over());
    }

    pub(crate) fn member(&mut self, id: EndpointId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }
}

/// A shard's rooms.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    slots: Vec<Option<Box<Room>>>,
}

impl Rooms {
    pub(crate) fn index(&self, id: RoomId) -> Option<usize> {
        self.slots.iter().position(|room| room.as_ref().is_some_and(|room| room.id == id))
    }

    pub(crate) fn get(&mut self, index: usize) -> Option<&mut Room> {
        self.slots.get_mut(index)?.as_deref_mut()
    }

    /// Where it is; `None`: there are [`MAX_ROOMS`].
    pub(crate) fn find_or_open(&mut self, id: RoomId, options: RoomOptions, now_ms: u64) -> Option<usize> {
        if let Some(index) = self.index(id) {
            return Some(index);
        }
        let room = Box::new(Room::new(id, options, now_ms));
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if free >= MAX_ROOMS {
            return None;
        }
        if free == self.slots.len() {
            self.slots.push(None);
        }
        self.put(free, room);
        Some(free)
    }

    /// Takes a room out while it is worked on, or for ever.
    pub(crate) fn take(&mut self, index: usize) -> Option<Box<Room>> {
        self.slots.get_mut(index)?.take()
    }

    pub(crate) fn put(&mut self, index: usize, room: Box<Room>) {
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Some(room);
        }
    }

    /// How far the indices go.
    pub(crate) fn end(&self) -> usize {
        self.slots.len()
    }

    /// When the first of them is due.
    pub(crate) fn due(&self) -> Option<u64> {
        self.slots.iter().flatten().map(|room| room.due()).min()
    }
}
