//! `X-Twilio-Signature` (TWILIO.md §3.3).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Signs a request: base64 of the HMAC-SHA1, keyed by `auth_token`, of the URL and of each parameter's name and value,
/// sorted by name in byte order; of a name with several values, each different one once, in byte order.
///
/// `url` is the one requested, with its query and without its fragment. `form` is what a form POST carries, decoded;
/// it is empty for a GET, whose parameters stand in the URL, and for any other body.
#[must_use]
pub fn signature(auth_token: &str, url: &str, form: &[(String, String)]) -> String {
    let mut sorted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in form {
        sorted.entry(name).or_default().insert(value);
    }
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(auth_token.as_bytes()) else { return String::new() };
    mac.update(url.as_bytes());
    for (name, values) in &sorted {
        for value in values {
            mac.update(name.as_bytes());
            mac.update(value.as_bytes());
        }
    }
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// SHA-256 in lower-case hexadecimal digits: what `bodySHA256` holds, and what names a version of a flow.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn signs_as_the_published_vector_does() {
        let form = params(&[
            ("To", "+18005551212"),
            ("CallSid", "CA1234567890ABCDE"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("Caller", "+14158675309"),
        ]);
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        assert_eq!(signature("12345", url, &form), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    }

    #[test]
    fn several_values_of_a_name_are_sorted_and_each_counts_once() {
        let (url, token) = ("https://a.example/", "t");
        let twice = signature(token, url, &params(&[("A", "2"), ("A", "1"), ("A", "2")]));
        assert_eq!(twice, signature(token, url, &params(&[("A", "1"), ("A", "2")])));
        assert_ne!(twice, signature(token, url, &params(&[("A", "1")])));
    }

    #[test]
    fn names_sort_by_byte_and_an_empty_value_counts() {
        let (url, token) = ("https://a.example/", "t");
        let signed = signature(token, url, &params(&[("b", "x"), ("B", ""), ("a", "y")]));
        // What it must be over: "https://a.example/" "B" "" "a" "y" "b" "x".
        assert_eq!(signed, signature(token, "https://a.example/Baybx", &[]));
    }
}
