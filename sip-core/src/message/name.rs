//! Header field names: the ones the switch acts on, as a value that the index can hold (RFC 3261 §7.3.1, §20).

use std::fmt;

/// No name in the table below is longer (that would not compile); a longer one is [`Name::Other`] without being looked at.
const LONGEST: usize = 24;

macro_rules! names {
    ($($variant:ident $text:literal $($compact:literal)?)*) => {
        /// A header field name. Compact forms and any case are the same name; one that is not listed is `Other`, and is
        /// reached by its text ([`super::Message::header_named`]).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Name {
            $(
                #[doc = concat!("`", $text, "`.")]
                $variant,
            )*
            /// Any other.
            Other,
        }

        impl Name {
            /// The name as it is written; empty for [`Name::Other`].
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other => "",
                }
            }

            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$variant),*];
        }

        /// `(text, compact form or "", name)`, the source of the lookup below.
        const TABLE: &[(&str, &str, Name)] = &[$(($text, concat!($($compact)?), Name::$variant)),*];
    };
}

names! {
    Via "Via" "v"
    From "From" "f"
    To "To" "t"
    CallId "Call-ID" "i"
    CSeq "CSeq"
    Contact "Contact" "m"
    MaxForwards "Max-Forwards"
    Route "Route"
    RecordRoute "Record-Route"
    ContentLength "Content-Length" "l"
    ContentType "Content-Type" "c"
    ContentEncoding "Content-Encoding" "e"
    ContentDisposition "Content-Disposition"
    Authorization "Authorization"
    ProxyAuthorization "Proxy-Authorization"
    WwwAuthenticate "WWW-Authenticate"
    ProxyAuthenticate "Proxy-Authenticate"
    AuthenticationInfo "Authentication-Info"
    Allow "Allow"
    AllowEvents "Allow-Events" "u"
    Supported "Supported" "k"
    Require "Require"
    ProxyRequire "Proxy-Require"
    Unsupported "Unsupported"
    Accept "Accept"
    AcceptEncoding "Accept-Encoding"
    AcceptLanguage "Accept-Language"
    AcceptContact "Accept-Contact" "a"
    RejectContact "Reject-Contact" "j"
    RequestDisposition "Request-Disposition" "d"
    AlertInfo "Alert-Info"
    CallInfo "Call-Info"
    Expires "Expires"
    MinExpires "Min-Expires"
    RetryAfter "Retry-After"
    UserAgent "User-Agent"
    Server "Server"
    Organization "Organization"
    Subject "Subject" "s"
    Reason "Reason"
    Warning "Warning"
    Date "Date"
    Timestamp "Timestamp"
    MimeVersion "MIME-Version"
    InReplyTo "In-Reply-To"
    ReplyTo "Reply-To"
    PAssertedIdentity "P-Asserted-Identity"
    PPreferredIdentity "P-Preferred-Identity"
    PChargingVector "P-Charging-Vector"
    PEarlyMedia "P-Early-Media"
    RemotePartyId "Remote-Party-ID"
    Privacy "Privacy"
    Diversion "Diversion"
    HistoryInfo "History-Info"
    ReferTo "Refer-To" "r"
    ReferredBy "Referred-By" "b"
    ReferSub "Refer-Sub"
    TargetDialog "Target-Dialog"
    Replaces "Replaces"
    Join "Join"
    SessionExpires "Session-Expires" "x"
    MinSe "Min-SE"
    RSeq "RSeq"
    RAck "RAck"
    Event "Event" "o"
    SubscriptionState "Subscription-State"
    SipETag "SIP-ETag"
    SipIfMatch "SIP-If-Match"
    Path "Path"
    ServiceRoute "Service-Route"
    Identity "Identity" "y"
    InfoPackage "Info-Package"
    RecvInfo "Recv-Info"
    UserToUser "User-to-User"
    MaxBreadth "Max-Breadth"
    SessionId "Session-ID"
    GeolocationRouting "Geolocation-Routing"
}

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

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Other { "(extension header)" } else { self.as_str() })
    }
}

/// A name fit to be written: a token (RFC 3261 §25.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderName(std::borrow::Cow<'static, str>);

/// The name is no token, and could be read as something else on the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a header name: letters, digits and -.!%*_+`'~ only")]
pub struct BadHeaderName(String);

impl HeaderName {
    /// A name from outside.
    ///
    /// # Errors
    /// [`BadHeaderName`] where it is empty or holds anything but token characters.
    pub fn parse(text: &str) -> Result<Self, BadHeaderName> {
        if crate::header::scan::is_token(text.as_bytes()) {
            Ok(Self(text.to_owned().into()))
        } else {
            Err(BadHeaderName(text.to_owned()))
        }
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which of the known names it is.
    #[must_use]
    pub fn known(&self) -> Name {
        Name::from_bytes(self.0.as_bytes())
    }
}

impl From<Name> for HeaderName {
    /// The known name; [`Name::Other`] has none and becomes `X-Other`.
    fn from(name: Name) -> Self {
        Self(if name == Name::Other { "X-Other" } else { name.as_str() }.into())
    }
}

impl From<&'static str> for HeaderName {
    /// A name written in the source. What is no token character becomes `-`: names from outside go through
    /// [`HeaderName::parse`].
    fn from(text: &'static str) -> Self {
        if crate::header::scan::is_token(text.as_bytes()) {
            return Self(text.into());
        }
        let clean: String =
            text.bytes().map(|b| if crate::header::scan::is_token(&[b]) { char::from(b) } else { '-' }).collect();
        Self(if clean.is_empty() { "X-Other".into() } else { clean.into() })
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
    fn a_name_with_a_line_break_cannot_be_made() {
        assert!(HeaderName::parse("X-Good").is_ok());
        for bad in ["", "X Bad", "X:Bad", "X\r\nVia", "Xé", "X\0"] {
            assert!(HeaderName::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(HeaderName::from("X\r\nVia").as_str(), "X--Via");
    }
}
