//! The rooms of a shard: who comes and goes, and the block that is mixed every ten milliseconds.

use super::Shard;
use crate::command::EndpointId;
use crate::endpoint::Endpoint;
use crate::event::Event;
use crate::io::PacketIo;
use crate::prompt::Prompt;
use crate::record::{MAX_RECORDINGS, RecordEnd, RecordId, RecordOptions, Tape};
use crate::room::{BLOCK_MS, MAX_MEMBERS, MAX_ROOMS, Member, MemberOptions, Room, RoomId, RoomOptions, Seat};
use base::Now;
use std::sync::Arc;

/// Blocks for which a speaker stays the active one at least.
const SPEAKER_BLOCKS: u64 = 50;

impl Shard {
    pub(super) fn join(
        &mut self,
        id: EndpointId,
        room: RoomId,
        options: RoomOptions,
        member: MemberOptions,
        now: Now,
        io: &mut dyn PacketIo,
    ) {
        if self.leg(id).is_none() {
            self.stats.unknown_endpoint += 1;
            return;
        }
        self.part(id, now, io);
        self.leave(id);
        if let Err(error) = self.try_join(id, room, options, member, now) {
            self.events.push(Event::Failed { id, error });
        }
    }

    fn try_join(
        &mut self,
        id: EndpointId,
        room: RoomId,
        options: RoomOptions,
        member: MemberOptions,
        now: Now,
    ) -> Result<(), String> {
        if !matches!(options.rate, 8_000 | 16_000 | 48_000) {
            return Err(format!(
                "a room at {} samples a second cannot be mixed; 8000, 16000 and 48000 can",
                options.rate
            ));
        }
        let full = || format!("no further room: the shard holds {MAX_ROOMS}, its limit");
        let index = self.rooms.find_or_open(room, options, now.mono / 1_000_000).ok_or_else(full)?;
        let (Some(leg), Some(found)) = (self.leg(id), self.rooms.get(index)) else { return Err(full()) };
        if found.members.len() >= MAX_MEMBERS {
            return Err(format!("room {} is full: {MAX_MEMBERS} are in it", room.0));
        }
        let rate = found.mix.rate();
        found.members.push(Member { id, slot: leg.slot, options: member });
        if found.members.len() > 1 {
            found.sound(found.options.join_tone.clone());
        }
        if let Some(endpoint) = self.at_mut(id) {
            endpoint.sit(Some(Seat::new(index, rate, member.deaf)));
        }
        self.events.push(Event::Joined { id, room });
        Ok(())
    }

    /// Changes what a member may do; nothing happens where it is in no room.
    pub(super) fn update(&mut self, id: EndpointId, options: MemberOptions) {
        let Some(index) = self.at(id).and_then(Endpoint::room) else { return };
        if let Some(member) = self.rooms.get(index).and_then(|room| room.member(id)) {
            member.options = options;
        }
        if let Some(seat) = self.at_mut(id).and_then(Endpoint::seat) {
            seat.deaf = options.deaf;
        }
    }

    /// Everybody in the room hears it.
    pub(super) fn announce(&mut self, id: EndpointId, prompt: Arc<Prompt>) {
        let Some(index) = self.at(id).and_then(Endpoint::room) else { return };
        if let Some(room) = self.rooms.get(index) {
            room.sound(Some(prompt));
        }
    }

    /// Takes a member out of its room, if it is in one. The last one closes the room.
    pub(super) fn leave(&mut self, id: EndpointId) {
        let Some(index) = self.at(id).and_then(Endpoint::room) else { return };
        if let Some(endpoint) = self.at_mut(id) {
            endpoint.sit(None);
        }
        let Some(mut room) = self.rooms.take(index) else { return };
        room.members.retain(|member| member.id != id);
        self.events.push(Event::Left { id, room: room.id });
        if room.members.is_empty() {
            return self.close_room(*room);
        }
        room.sound(room.options.leave_tone.clone());
        self.rooms.put(index, room);
    }

    fn close_room(&mut self, mut room: Room) {
        for tape in room.tapes.drain(..) {
            self.events.push(tape.end(RecordEnd::Closed, &mut self.records));
        }
    }

    /// Records the room that the endpoint is in, at the room's rate.
    pub(super) fn record_room(&mut self, id: EndpointId, record: RecordId, mut options: RecordOptions) {
        let room = self.at(id).and_then(Endpoint::room).and_then(|index| self.rooms.get(index));
        let error = match room {
            None => format!("recording {} cannot begin: the endpoint is in no room", record.0),
            Some(room) if room.tapes.len() >= MAX_RECORDINGS => {
                format!("recording {} cannot begin: {MAX_RECORDINGS} run in this room", record.0)
            }
            Some(room) => {
                options.rate = room.mix.rate();
                room.tapes.push(Tape::new(id, record, options, &mut self.records));
                return;
            }
        };
        self.events.push(Event::Failed { id, error });
    }

    /// Ends a room's recording, if one of this name runs.
    pub(super) fn stop_room_record(&mut self, record: RecordId, reason: RecordEnd) {
        for index in 0..self.rooms.end() {
            let Some(room) = self.rooms.get(index) else { continue };
            if let Some(at) = room.tapes.iter().position(|tape| tape.record == record) {
                let tape = room.tapes.remove(at);
                return self.events.push(tape.end(reason, &mut self.records));
            }
        }
    }

    /// Pauses a room's recording, or goes on with it.
    pub(super) fn pause_room_record(&mut self, record: RecordId, paused: bool) {
        for index in 0..self.rooms.end() {
            let tapes = self.rooms.get(index).map(|room| &mut room.tapes);
            if let Some(tape) = tapes.and_then(|tapes| tapes.iter_mut().find(|tape| tape.record == record)) {
                tape.paused = paused;
            }
        }
    }

    /// Mixes what is due in every room.
    pub(super) fn mix(&mut self, now: Now) {
        let now_ms = now.mono / 1_000_000;
        for index in 0..self.rooms.end() {
            if self.rooms.get(index).is_none_or(|room| room.due() > now_ms) {
                continue;
            }
            let Some(mut room) = self.rooms.take(index) else { continue };
            room.mix.skip_to(now_ms);
            while room.due() <= now_ms {
                self.mix_block(&mut room, now.wall);
            }
            self.rooms.put(index, room);
        }
    }

    fn mix_block(&mut self, room: &mut Room, wall: u64) {
        let (block, waits) = (room.mix.block(), room.waits());
        let at = Now::new((room.due() - BLOCK_MS) * 1_000_000, wall);
        room.mix.clear();
        // Who is heard by all, by one, by nobody.
        let (mut whispers, mut loudest) = (false, None::<(f32, EndpointId)>);
        for index in 0..room.members.len() {
            let Some(&member) = room.members.get(index) else { continue };
            let Some(seat) = self.seat(member) else { continue };
            seat.share(block);
            let sounds = seat.listen(at) && !member.options.muted && !waits;
            if sounds && member.options.coach.is_none() {
                room.mix.add(seat.voice());
                // Its own mix is without it; what is added to the sum later is taken over below.
                seat.mix(block, &[], true);
                if let Some(level) = seat.speaks_at()
                    && loudest.is_none_or(|(before, _)| level < before)
                {
                    loudest = Some((level, member.id));
                }
            }
            whispers |= sounds && member.options.coach.is_some();
        }
        room.add_sounds(waits);
        for index in 0..room.members.len() {
            let Some(&member) = room.members.get(index) else { continue };
            if let Some(seat) = self.seat(member)
                && seat.has_own(block, 1)
            {
                seat.mix(block, room.mix.total(), true);
            }
        }
        if whispers {
            self.whisper(room, block);
        }
        room.mix.finish();
        self.say_speaker(room, loudest.map(|(_, id)| id), block);
        self.tape(room, block);
    }

    /// Each coach's voice goes into the mix of the one it coaches.
    fn whisper(&mut self, room: &mut Room, block: u64) {
        let mut voice = [0; 480];
        for index in 0..room.members.len() {
            let Some(&coach) = room.members.get(index) else { continue };
            let Some(pupil) = coach.options.coach.filter(|_| !coach.options.muted) else { continue };
            let Some(said) = self.seat(coach).map(|seat| seat.voice()) else { continue };
            let length = said.len().min(voice.len());
            voice.iter_mut().zip(said).for_each(|(to, &from)| *to = from);
            let pupil = room.members.iter().find(|member| member.id == pupil).copied();
            let Some(seat) = pupil.and_then(|pupil| self.seat(pupil)) else { continue };
            if !seat.has_own(block, 1) {
                seat.mix(block, room.mix.total(), false);
            }
            seat.whisper(block, voice.get(..length).unwrap_or_default());
        }
    }

    fn say_speaker(&mut self, room: &mut Room, loudest: Option<EndpointId>, block: u64) {
        let Some(id) = loudest.filter(|id| room.speaker != Some(*id) && block >= room.speaker_until) else { return };
        (room.speaker, room.speaker_until) = (Some(id), block + SPEAKER_BLOCKS);
        let event = Event::Speaker { id, room: room.id };
        // Welcome, and no more: whoever is that far behind learns of a later one.
        self.events.push_quality(event);
    }

    fn tape(&mut self, room: &mut Room, block: u64) {
        let mut at = 0;
        while let Some(tape) = room.tapes.get_mut(at) {
            let mix = room.mix.common(block);
            match if tape.paused { None } else { tape.write(mix, mix, &mut self.records) } {
                Some(reason) => {
                    let tape = room.tapes.remove(at);
                    self.events.push(tape.end(reason, &mut self.records));
                }
                None => at += 1,
            }
        }
    }

    fn seat(&mut self, member: Member) -> Option<&mut Seat> {
        let endpoint = self.slots.get_mut(member.slot as usize)?.as_deref_mut()?;
        if endpoint.id == member.id { endpoint.seat() } else { None }
    }
}
