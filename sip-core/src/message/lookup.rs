//! Finding a header name: one probe of a table made at compile time, because every header line of every message pays it.

use super::Name;
use super::name::TABLE;

/// No name in the table below is longer (that would not compile); a longer one is [`Name::Other`] without being looked at.
pub(super) const LONGEST: usize = 24;

/// A name as three words: its bytes in lower case, then zeros. Comparing two keys is three comparisons whatever the name.
type Key = [u64; LONGEST / 8];

/// Every form of every name: its key, its length (a NUL in a name must not pass for padding), and the name.
const FORMS: [(Key, usize, Name); count()] = forms();

/// How many slots the lookup has, as a power of two: sparse enough that an extension header meets an empty one.
const SLOT_BITS: u32 = 9;
const SLOTS: usize = 1 << SLOT_BITS;

/// Open addressing by [`slot_of`]: one more than an index into `FORMS`; 0 is empty.
const LOOKUP: [u8; SLOTS] = lookup();

/// `MASKS[n]` keeps the first `n` bytes of a key.
const MASKS: [Key; LONGEST + 1] = masks();

const fn slot_of(key: Key) -> usize {
    let mixed = key[0] ^ key[1].rotate_left(21) ^ key[2].rotate_left(42);
    (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - SLOT_BITS)) as usize
}

/// The key of the name that is the first `len` of these bytes.
#[inline]
const fn key(bytes: &[u8; LONGEST], len: usize) -> Key {
    let (words, _) = bytes.as_chunks::<8>();
    let mut key = [0; LONGEST / 8];
    let mut i = 0;
    while i < key.len() {
        let word = u64::from_le_bytes(words[i]);
        // Letters have bit 6; bit 5 makes them small. What has bit 6 and is no letter matches no name either way.
        key[i] = (word | (word & 0x4040_4040_4040_4040) >> 1) & MASKS[len][i];
        i += 1;
    }
    key
}

/// The offset of the first colon in these bytes, eight at a time.
#[inline]
pub(super) fn colon(bytes: &[u8; LONGEST]) -> Option<usize> {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().enumerate().find_map(|(i, word)| {
        // A byte of `other` is zero where there is a colon; the lowest high bit of `found` marks the first of them.
        let other = u64::from_le_bytes(*word) ^ 0x3a3a_3a3a_3a3a_3a3a;
        let found = other.wrapping_sub(0x0101_0101_0101_0101) & !other & 0x8080_8080_8080_8080;
        (found != 0).then(|| 8 * i + found.trailing_zeros() as usize / 8)
    })
}

#[inline]
const fn same(one: Key, two: Key) -> bool {
    (one[0] ^ two[0]) | (one[1] ^ two[1]) | (one[2] ^ two[2]) == 0
}

const fn masks() -> [Key; LONGEST + 1] {
    let mut masks = [[0; LONGEST / 8]; LONGEST + 1];
    let mut len = 0;
    while len <= LONGEST {
        let mut byte = 0;
        while byte < len {
            masks[len][byte / 8] |= 0xff << (8 * (byte % 8));
            byte += 1;
        }
        len += 1;
    }
    masks
}

const fn count() -> usize {
    let (mut n, mut i) = (TABLE.len(), 0);
    while i < TABLE.len() {
        n += !TABLE[i].1.is_empty() as usize;
        i += 1;
    }
    n
}

const fn key_of(form: &str) -> Key {
    let (mut bytes, mut i) = ([0; LONGEST], 0);
    while i < form.len() {
        bytes[i] = form.as_bytes()[i];
        i += 1;
    }
    key(&bytes, form.len())
}

const fn forms() -> [(Key, usize, Name); count()] {
    let mut out = [([0; LONGEST / 8], 0, Name::Other); count()];
    let (mut n, mut i) = (0, 0);
    while i < TABLE.len() {
        let (long, compact, name) = TABLE[i];
        out[n] = (key_of(long), long.len(), name);
        n += 1;
        if !compact.is_empty() {
            out[n] = (key_of(compact), compact.len(), name);
            n += 1;
        }
        i += 1;
    }
    out
}

const fn lookup() -> [u8; SLOTS] {
    assert!(FORMS.len() < 255);
    let mut slots = [0; SLOTS];
    let mut i = 0;
    while i < FORMS.len() {
        let mut slot = slot_of(FORMS[i].0);
        while slots[slot] != 0 {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = i as u8 + 1;
        i += 1;
    }
    slots
}

impl Name {
    /// The name written as `text`: long or compact, in any case.
    #[must_use]
    pub fn from_bytes(text: &[u8]) -> Self {
        Self::at_start_of(text, text.len())
    }

    /// The name that is the first `len` bytes of `text`. More text than that saves a copy.
    #[inline]
    pub(super) fn at_start_of(text: &[u8], len: usize) -> Self {
        if len > LONGEST || len > text.len() {
            return Self::Other;
        }
        let key = match text.first_chunk() {
            Some(bytes) => key(bytes, len),
            None => {
                let mut bytes = [0; LONGEST];
                bytes[..text.len()].copy_from_slice(text);
                key(&bytes, len)
            }
        };
        let mut slot = slot_of(key);
        while let Some(&(form, form_len, name)) = usize::from(LOOKUP[slot]).checked_sub(1).and_then(|at| FORMS.get(at))
        {
            if same(form, key) && form_len == len {
                return name;
            }
            slot = (slot + 1) % SLOTS;
        }
        Self::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_by_its_text_in_any_case() {
        for name in Name::ALL {
            assert_eq!(Name::from_bytes(name.as_str().as_bytes()), *name);
            assert_eq!(Name::from_bytes(name.as_str().to_ascii_uppercase().as_bytes()), *name);
        }
    }

    #[test]
    fn compact_forms_are_the_same_names() {
        let pairs = [("v", Name::Via), ("I", Name::CallId), ("m", Name::Contact), ("L", Name::ContentLength)];
        for (compact, name) in pairs {
            assert_eq!(Name::from_bytes(compact.as_bytes()), name);
        }
        assert_eq!(Name::from_bytes(b"z"), Name::Other);
        assert_eq!(Name::from_bytes(b""), Name::Other);
        assert_eq!(Name::from_bytes(&[b'a'; 300]), Name::Other);
        for near in [&b"v\0"[..], b"\0v", b"Via\0", b"Call\rID", b"Call\x0dID", b"Vi\xe1", b"Via:", b"Via "] {
            assert_eq!(Name::from_bytes(near), Name::Other, "{near:?}");
        }
    }

    #[test]
    fn the_first_colon_is_found_wherever_it_stands_and_nothing_else_is() {
        for at in 0..LONGEST {
            let mut bytes = [b';'; LONGEST];
            bytes[at] = b':';
            bytes[LONGEST - 1] = b':';
            assert_eq!(colon(&bytes), Some(at));
        }
        for byte in (0..=255).filter(|byte| *byte != b':') {
            assert_eq!(colon(&[byte; LONGEST]), None, "{byte}");
            let mut bytes = [byte; LONGEST];
            bytes[9] = b':';
            assert_eq!(colon(&bytes), Some(9), "{byte}");
        }
    }
}
