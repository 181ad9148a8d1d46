//! When two URIs mean the same (RFC 3261 §19.1.4, RFC 3966 §4).

use super::escape::normal;
use super::{Scheme, Uri};

/// Parameters that make two URIs differ when only one has them.
const ALWAYS_COMPARED: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

impl Uri {
    /// True where the two are equivalent: hosts without case, escapes of unreserved characters as the characters, order
    /// of parameters aside, a port only equal to the same port named. Not transitive, by design of the RFC.
    #[must_use]
    pub fn equivalent(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        match (self.scheme, other.scheme) {
            (Scheme::Sip, Scheme::Sip) | (Scheme::Sips, Scheme::Sips) => self.equivalent_sip(other),
            (Scheme::Tel, Scheme::Tel) => self.equivalent_tel(other),
            _ => false,
        }
    }

    fn equivalent_sip(&self, other: &Self) -> bool {
        same(self.user(), other.user())
            && same(self.password(), other.password())
            && self.host == other.host
            && self.port == other.port
            && self.params_agree(other)
            && other.params_agree(self)
            && self.headers_agree(other)
            && other.headers_agree(self)
    }

    /// No parameter of this one speaks against the other.
    fn params_agree(&self, other: &Self) -> bool {
        self.params().all(|(name, value)| {
            let name = normal(name);
            let theirs = other.params().find(|(given, _)| normal(given).eq_ignore_ascii_case(&name));
            match theirs {
                Some((_, theirs)) => {
                    normal(theirs.unwrap_or_default()).eq_ignore_ascii_case(&normal(value.unwrap_or_default()))
                }
                None => !ALWAYS_COMPARED.iter().any(|always| always.eq_ignore_ascii_case(&name)),
            }
        })
    }

    fn headers_agree(&self, other: &Self) -> bool {
        self.headers().all(|(name, value)| {
            other.headers().any(|(given, theirs)| {
                normal(given).eq_ignore_ascii_case(&normal(name))
                    && normal(theirs.unwrap_or_default()) == normal(value.unwrap_or_default())
            })
        })
    }

    /// Numbers without their separators, parameters as sets (RFC 3966 §4).
    fn equivalent_tel(&self, other: &Self) -> bool {
        let digits = |uri: &Self| uri.tel_digits().map(|digits| digits.to_ascii_lowercase());
        let covers = |one: &Self, two: &Self| {
            one.params().all(|(name, value)| {
                let value = value.unwrap_or_default();
                two.param(name).is_some_and(|theirs| theirs.eq_ignore_ascii_case(value))
            })
        };
        digits(self) == digits(other) && covers(self, other) && covers(other, self)
    }
}

fn same(one: Option<&str>, two: Option<&str>) -> bool {
    one.map(normal) == two.map(normal)
}
