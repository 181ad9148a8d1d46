//! SRTP at an endpoint: what comes is authenticated before anything of it is believed, its source included
//! (SECURITY.md rows 2, 4 and 5). A packet that is refused is counted, and that is all.

use super::{Context, Endpoint};
use crate::command::StreamConfig;
use crate::io::Channel;
use crate::outbound::MAX_BUILT;
use crate::srtp::{Refused, Srtp};
use std::net::SocketAddr;

impl Endpoint {
    /// Takes the keys of a new offer and answer.
    pub(super) fn take_keys(&mut self, config: &StreamConfig) {
        let Some(keys) = &config.srtp else { return };
        let moved = self.stream.as_ref().is_some_and(|stream| stream.config.remote != config.remote);
        match &mut self.srtp {
            Some(srtp) => srtp.rekey(keys, moved),
            None => self.srtp = Some(Box::new(Srtp::new(keys))),
        }
    }

    /// What comes must be opened first.
    pub(crate) fn is_secure(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.config.srtp.is_some())
    }

    /// Opens a packet into `clear`; `None`: it is refused, and counted.
    pub(crate) fn open<'a>(
        &mut self,
        channel: Channel,
        from: SocketAddr,
        packet: &[u8],
        clear: &'a mut [u8; MAX_BUILT],
        ctx: &mut Context<'_>,
    ) -> Option<&'a [u8]> {
        let (Some(stream), Some(srtp)) = (&self.stream, &mut self.srtp) else { return None };
        let rtcp = channel == Channel::Rtcp || (stream.config.rtcp_mux && super::receive::is_rtcp(packet));
        // A stranger's packet costs no cipher. RTCP's gate learns, and is asked once the packet is authentic.
        if !rtcp && !stream.gate.admits(from) {
            self.count_stranger(ctx);
            return None;
        }
        let Some(copy) = clear.get_mut(..packet.len()) else {
            self.count_malformed(ctx);
            return None;
        };
        copy.copy_from_slice(packet);
        match if rtcp { srtp.open_rtcp(copy) } else { srtp.open(copy) } {
            Ok(length) => clear.get(..length),
            Err(why) => {
                self.count_refused(why, ctx);
                None
            }
        }
    }

    fn count_refused(&mut self, why: Refused, ctx: &mut Context<'_>) {
        match why {
            Refused::Malformed => self.count_malformed(ctx),
            Refused::Unauthentic => {
                self.unauthentic += 1;
                ctx.stats.unauthentic += 1;
            }
            Refused::Replayed => {
                self.replayed += 1;
                ctx.stats.replayed += 1;
            }
        }
    }
}
