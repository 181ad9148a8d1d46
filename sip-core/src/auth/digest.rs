//! The arithmetic: `HA1`, `HA2` and the response (RFC 7616 §3.4), over MD5 and SHA-256.

use super::challenge::Qop;
use std::fmt;

/// A hash algorithm (RFC 7616 §6.1), the weaker first. The `-sess` variants are not spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// What is meant where none is named.
    Md5,
    /// RFC 8760.
    Sha256,
}

impl Algorithm {
    /// The name in a header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// The algorithm of a name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Md5, Self::Sha256].into_iter().find(|known| known.as_str().eq_ignore_ascii_case(name))
    }

    /// The hash of the parts with a colon between each two.
    pub(super) fn hash(self, parts: &[&[u8]]) -> Hex {
        match self {
            Self::Md5 => Hex::of(&hash::<md5::Md5>(parts)),
            Self::Sha256 => Hex::of(&hash::<sha2::Sha256>(parts)),
        }
    }

    /// How many hexadecimal digits a hash has.
    const fn hex_len(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha256 => 64,
        }
    }
}

fn hash<D: sha2::Digest>(parts: &[&[u8]]) -> sha2::digest::Output<D> {
    let mut hasher = D::new();
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            hasher.update(b":");
        }
        hasher.update(part);
    }
    hasher.finalize()
}

/// Up to 32 bytes as lower-case hexadecimal digits, without an allocation.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Hex {
    digits: [u8; 64],
    len: usize,
}

impl Hex {
    pub fn of(bytes: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = Self { digits: [0; 64], len: 0 };
        for (pair, byte) in hex.digits.chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            hex.len += 2;
        }
        hex
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// `H(user:realm:password)`: as good as the password toward its realm, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Ha1 {
    algorithm: Algorithm,
    hex: Hex,
}

impl Ha1 {
    /// The value that was stored as hexadecimal digits; `None` where their number or kind is not the algorithm's.
    #[must_use]
    pub fn from_hex(algorithm: Algorithm, text: &str) -> Option<Self> {
        let is_hash = text.len() == algorithm.hex_len() && text.bytes().all(|b| b.is_ascii_hexdigit());
        let mut digits = [0; 64];
        digits.get_mut(..text.len()).filter(|_| is_hash)?.copy_from_slice(text.to_ascii_lowercase().as_bytes());
        Some(Self { algorithm, hex: Hex { digits, len: text.len() } })
    }

    /// Lower-case hexadecimal digits, to be sealed and stored.
    #[must_use]
    pub fn as_hex(&self) -> &str {
        self.hex.as_str()
    }

    /// A value that no password gives.
    pub(super) fn of_nobody(algorithm: Algorithm, secret: &[u8]) -> Self {
        Self { algorithm, hex: algorithm.hash(&[secret]) }
    }

    /// The algorithm it is for.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ha1({}, ***)", self.algorithm.as_str())
    }
}

/// `H(user:realm:password)` (RFC 7616 §3.4.2).
#[must_use]
pub fn ha1(algorithm: Algorithm, user: &str, realm: &str, password: &str) -> Ha1 {
    Ha1 { algorithm, hex: algorithm.hash(&[user.as_bytes(), realm.as_bytes(), password.as_bytes()]) }
}

/// What is hashed beside `HA1`.
pub(super) struct Proof<'a> {
    pub nonce: &'a str,
    /// Missing: RFC 2069.
    pub qop: Option<QopProof<'a>>,
    pub method: &'a str,
    pub uri: &'a str,
    /// Hashed with [`Qop::AuthInt`] only.
    pub body: &'a [u8],
}

/// What `qop` adds.
pub(super) struct QopProof<'a> {
    pub qop: Qop,
    /// Eight hexadecimal digits, as written.
    pub nc: &'a str,
    pub cnonce: &'a str,
}

/// The response (RFC 7616 §3.4.1; without `qop`, RFC 2069 §2.1.2).
pub(super) fn response(ha1: &Ha1, proof: &Proof<'_>) -> Hex {
    let algorithm = ha1.algorithm;
    let ha2 = ha2(algorithm, proof);
    let (ha1, ha2, nonce) = (ha1.hex.as_bytes(), ha2.as_bytes(), proof.nonce.as_bytes());
    match &proof.qop {
        Some(QopProof { qop, nc, cnonce }) => {
            algorithm.hash(&[ha1, nonce, nc.as_bytes(), cnonce.as_bytes(), qop.as_str().as_bytes(), ha2])
        }
        None => algorithm.hash(&[ha1, nonce, ha2]),
    }
}

fn ha2(algorithm: Algorithm, proof: &Proof<'_>) -> Hex {
    let (method, uri) = (proof.method.as_bytes(), proof.uri.as_bytes());
    match &proof.qop {
        Some(QopProof { qop: Qop::AuthInt, .. }) => {
            algorithm.hash(&[method, uri, algorithm.hash(&[proof.body]).as_bytes()])
        }
        _ => algorithm.hash(&[method, uri]),
    }
}
