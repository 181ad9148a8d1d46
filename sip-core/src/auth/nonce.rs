//! A server's nonces: they prove themselves (issue time and number under an HMAC), so that a challenge costs no memory;
//! only a nonce that a right password was used with is remembered, for its `nc` (RFC 7616 §5.12).

use super::digest::Hex;
use base::{Now, Rng};
use hmac::{Hmac, KeyInit as _, Mac as _};
use std::collections::BTreeMap;
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// How long a nonce holds where the policy does not say; an older one is answered with a new one and `stale=true`.
pub const NONCE_LIFETIME: Duration = Duration::from_secs(300);

/// How many nonces in use are remembered. With one more the oldest is forgotten, and it and all older ones are stale:
/// their users are challenged once more, and nothing can be replayed.
pub const MAX_NONCES: usize = 16_384;

/// One block of SHA-256, the key that HMAC takes as it is.
const KEY_BYTES: usize = 64;
const MAC_BYTES: usize = 16;

/// What identifies a nonce: its time of issue (monotonic nanoseconds), then its number.
type Stamp = (u64, u64);

/// The nonces of one server.
#[derive(Clone)]
pub(super) struct Nonces {
    key: [u8; KEY_BYTES],
    lifetime: Duration,
    issued: u64,
    used: BTreeMap<Stamp, Window>,
    /// Nonces up to this one have been forgotten.
    forgotten: Option<Stamp>,
}

/// What a nonce that came back is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Ours, and it and this `nc` are not used up.
    Fresh,
    /// Not ours, too old, or the `nc` was used.
    Stale,
}

impl Nonces {
    pub fn new(lifetime: Duration, rng: &mut Rng) -> Self {
        let mut key = [0; KEY_BYTES];
        rng.fill(&mut key);
        Self { key, lifetime, issued: 0, used: BTreeMap::new(), forgotten: None }
    }

    /// A new nonce: 64 hexadecimal digits.
    pub fn issue(&mut self, now: Now) -> String {
        self.issued += 1;
        let stamp = bytes((now.mono, self.issued));
        let mut nonce = String::with_capacity(2 * (stamp.len() + MAC_BYTES));
        nonce.push_str(Hex::of(&stamp).as_str());
        nonce.push_str(Hex::of(&self.mac(&stamp)).as_str());
        nonce
    }

    /// Uses up `nc` of a nonce. To be asked only once the response is proved right: what is remembered is for users,
    /// not for everybody who sends us something.
    pub fn spend(&mut self, nonce: &str, nc: u32, now: Now) -> Freshness {
        let Some(stamp) = self.stamp(nonce).filter(|stamp| self.holds(*stamp, now)) else { return Freshness::Stale };
        if !self.used.entry(stamp).or_default().take(nc) {
            return Freshness::Stale;
        }
        self.forget(now);
        Freshness::Fresh
    }

    /// The stamp of a nonce that we have issued.
    fn stamp(&self, nonce: &str) -> Option<Stamp> {
        let stamp =
            (u64::from_str_radix(nonce.get(..16)?, 16).ok()?, u64::from_str_radix(nonce.get(16..32)?, 16).ok()?);
        let mac = Hex::of(&self.mac(&bytes(stamp)));
        bool::from(mac.as_bytes().ct_eq(nonce.as_bytes().get(32..)?)).then_some(stamp)
    }

    fn holds(&self, stamp: Stamp, now: Now) -> bool {
        let age = now.since(Now::new(stamp.0, 0));
        age <= self.lifetime && self.forgotten.is_none_or(|forgotten| stamp > forgotten)
    }

    fn forget(&mut self, now: Now) {
        while let Some((&stamp, _)) = self.used.first_key_value() {
            if self.used.len() <= MAX_NONCES && self.holds(stamp, now) {
                return;
            }
            self.used.pop_first();
            self.forgotten = Some(stamp);
        }
    }

    /// A key for whatever else must be unguessable and the same each time.
    pub fn derive(&self, label: &[u8]) -> [u8; 32] {
        hmac(&self.key, label)
    }

    fn mac(&self, stamp: &[u8; 16]) -> [u8; MAC_BYTES] {
        let whole = hmac(&self.key, stamp);
        let mut mac = [0; MAC_BYTES];
        mac.copy_from_slice(&whole[..MAC_BYTES]);
        mac
    }
}

fn hmac(key: &[u8; KEY_BYTES], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<sha2::Sha256>::new(key.into());
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn bytes(stamp: Stamp) -> [u8; 16] {
    ((u128::from(stamp.0) << 64) | u128::from(stamp.1)).to_be_bytes()
}

/// Which `nc` of one nonce were used: the highest, and which of the 64 up to it (requests overtake each other on UDP).
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    highest: u32,
    seen: u64,
}

impl Window {
    /// False where `nc` was used before, lies too far back, or is 0.
    fn take(&mut self, nc: u32) -> bool {
        if nc > self.highest {
            self.seen = self.seen.checked_shl(nc - self.highest).unwrap_or(0) | 1;
            self.highest = nc;
            return true;
        }
        let bit = 1u64.checked_shl(self.highest - nc).unwrap_or(0);
        let unused = nc != 0 && bit != 0 && self.seen & bit == 0;
        self.seen |= bit;
        unused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces() -> Nonces {
        Nonces::new(NONCE_LIFETIME, &mut Rng::from_u64(1))
    }

    #[test]
    fn each_nc_counts_once_in_any_order_within_the_window() {
        let mut window = Window::default();
        let taken: Vec<bool> = [0, 1, 1, 5, 3, 3, 2, 70, 6, 7, 6, u32::MAX, 70].map(|nc| window.take(nc)).into();
        assert_eq!(
            taken,
            [false, true, false, true, true, false, true, true, false, true, false, true, false],
            "0 is no count; 6 lies 64 behind 70"
        );
    }

    #[test]
    fn a_nonce_proves_itself_and_only_to_its_own_server() {
        let now = Now::new(5, 0);
        let mut nonces = nonces();
        let nonce = nonces.issue(now);
        assert_eq!(nonces.spend(&nonce, 1, now), Freshness::Fresh);
        let mut other = Nonces::new(NONCE_LIFETIME, &mut Rng::from_u64(2));
        assert_eq!(other.spend(&nonce, 1, now), Freshness::Stale);
        let forged = format!("{:032x}{}", 7, &nonce[32..]);
        for bad in ["", "x", &nonce[..63], &format!("{nonce}0"), &forged, &"é".repeat(32)] {
            assert_eq!(nonces.spend(bad, 1, now), Freshness::Stale, "{bad:?}");
        }
    }

    #[test]
    fn a_nonce_ages_by_the_monotonic_clock_alone() {
        let mut nonces = nonces();
        let issued = Now::new(0, 1_000_000);
        let nonce = nonces.issue(issued);
        let wall_jumped = Now::new(base::secs(300), 0);
        assert_eq!(nonces.spend(&nonce, 1, wall_jumped), Freshness::Fresh);
        assert_eq!(nonces.spend(&nonce, 2, Now::new(base::secs(300) + 1, 0)), Freshness::Stale);
    }

    #[test]
    fn what_is_forgotten_is_stale_and_the_table_stays_bounded() {
        let mut nonces = nonces();
        let issued: Vec<String> = (0..=MAX_NONCES as u64).map(|i| nonces.issue(Now::new(i, 0))).collect();
        let now = Now::new(MAX_NONCES as u64, 0);
        assert!(issued.iter().all(|nonce| nonces.spend(nonce, 1, now) == Freshness::Fresh));
        assert_eq!(nonces.used.len(), MAX_NONCES);
        assert_eq!(nonces.spend(&issued[0], 2, now), Freshness::Stale, "forgotten, so it cannot be told from a replay");
        assert_eq!(nonces.spend(&issued[1], 2, now), Freshness::Fresh);
    }

    #[test]
    fn expired_nonces_leave_the_table() {
        let mut nonces = nonces();
        let old = nonces.issue(Now::default());
        nonces.spend(&old, 1, Now::default());
        let later = Now::new(base::secs(600), 0);
        let new = nonces.issue(later);
        assert_eq!(nonces.spend(&new, 1, later), Freshness::Fresh);
        assert_eq!(nonces.used.len(), 1);
    }
}
