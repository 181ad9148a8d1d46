//! `Digest name=value, name="quoted value"` (RFC 7235 §2.1), split with regard to quotes.

/// The longest header value read, in bytes; a longer one is malformed.
pub const MAX_AUTH_BYTES: usize = 8 * 1024;

/// The most parameters read; a value with more is malformed.
pub const MAX_PARAMS: usize = 32;

/// The parameters of one challenge or credential, names in lower case, values unquoted.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

/// Why no parameters could be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Another scheme than Digest.
    NotDigest,
    /// It breaks the grammar, names a parameter twice, or is beyond the bounds.
    Malformed,
}

impl Params {
    /// Reads the value of an (`Proxy-`)`Authenticate` or (`Proxy-`)`Authorization` header.
    pub fn parse(value: &[u8]) -> Result<Self, Unreadable> {
        if value.len() > MAX_AUTH_BYTES {
            return Err(Unreadable::Malformed);
        }
        let text = std::str::from_utf8(value).map_err(|_| Unreadable::Malformed)?.trim();
        let (scheme, rest) = text.split_once(is_space).unwrap_or((text, ""));
        if !scheme.eq_ignore_ascii_case("Digest") {
            return Err(Unreadable::NotDigest);
        }
        Self::parse_list(rest).ok_or(Unreadable::Malformed)
    }

    fn parse_list(mut rest: &str) -> Option<Self> {
        let mut params: Vec<(String, String)> = Vec::with_capacity(10);
        loop {
            // RFC 7230 §7: empty elements are skipped.
            rest = rest.trim_start_matches(|c| is_space(c) || c == ',');
            if rest.is_empty() {
                return Some(Self(params));
            }
            let (name, after_name) = rest.split_once('=')?;
            let name = name.trim_end_matches(is_space).to_ascii_lowercase();
            let (value, after_value) = value(after_name.trim_start_matches(is_space))?;
            if name.is_empty() || params.len() == MAX_PARAMS || params.iter().any(|(known, _)| *known == name) {
                return None;
            }
            params.push((name, value));
            rest = after_value.trim_start_matches(is_space);
            if !rest.is_empty() && !rest.starts_with(',') {
                return None;
            }
        }
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Takes the value of a parameter out.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0.iter_mut().find(|(known, _)| known == name).map(|(_, value)| std::mem::take(value))
    }
}

/// Appends `, name="value"` with what RFC 7230 §3.2.6 asks to be escaped. Control characters, which would break the
/// header, are left out.
pub(super) fn push_quoted(out: &mut String, name: &str, value: &str) {
    push_name(out, name);
    out.push('"');
    for c in value.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// Appends `, name=value`, where the value is a token of our own.
pub(super) fn push_token(out: &mut String, name: &str, value: &str) {
    push_name(out, name);
    out.push_str(value);
}

fn push_name(out: &mut String, name: &str) {
    out.push_str(if out.is_empty() { "Digest " } else { ", " });
    out.push_str(name);
    out.push('=');
}

/// Folding has become one of these, or none (RFC 3261 §7.3.1).
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn value(text: &str) -> Option<(String, &str)> {
    match text.strip_prefix('"') {
        Some(quoted) => unquote(quoted),
        None => {
            let end = text.find(|c| is_space(c) || c == ',').unwrap_or(text.len());
            let (token, rest) = text.split_at(end);
            (!token.is_empty() && !token.contains(['"', '='])).then(|| (token.to_owned(), rest))
        }
    }
}

/// The value up to the closing quote, escapes resolved, and what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::with_capacity(text.len().min(64));
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(chars.next().map(|(_, escaped)| escaped).filter(|c| !c.is_control())?),
            c if c.is_control() && c != '\t' => return None,
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits_with_regard_to_quotes_escapes_case_and_folding() {
        let value = b" digest Realm = \"a, \\\"b\\\" \\\\ c\" ,\r\n NONCE=abc,,stale=TRUE , qop=\"auth,auth-int\"";
        let params = Params::parse(value).unwrap();
        assert_eq!(params.get("realm"), Some("a, \"b\" \\ c"));
        assert_eq!(params.get("nonce"), Some("abc"));
        assert_eq!(params.get("stale"), Some("TRUE"));
        assert_eq!(params.get("qop"), Some("auth,auth-int"));
        assert_eq!(params.get("opaque"), None);
    }

    #[test]
    fn refuses_what_breaks_the_grammar() {
        let table: [&[u8]; 10] = [
            b"Digest realm",
            b"Digest realm=",
            b"Digest =x",
            b"Digest realm=\"x",
            b"Digest realm=\"x\\",
            b"Digest realm=\"x\"y",
            b"Digest realm=x, realm=y",
            b"Digest realm=a b=c",
            b"Digest realm=\"\xFF\"",
            b"Digest realm=\"a\nb\"",
        ];
        for value in table {
            assert_eq!(Params::parse(value).unwrap_err(), Unreadable::Malformed, "{:?}", value.escape_ascii());
        }
        for value in ["", "Basic realm=x", "Digestrealm=x"] {
            assert_eq!(Params::parse(value.as_bytes()).unwrap_err(), Unreadable::NotDigest);
        }
    }

    #[test]
    fn refuses_what_is_beyond_the_bounds() {
        let many: String = (0..=MAX_PARAMS).map(|i| format!("p{i}=x,")).collect();
        assert_eq!(Params::parse(format!("Digest {many}").as_bytes()).unwrap_err(), Unreadable::Malformed);
        let long = format!("Digest realm=\"{}\"", "x".repeat(MAX_AUTH_BYTES));
        assert_eq!(Params::parse(long.as_bytes()).unwrap_err(), Unreadable::Malformed);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(realm in "[^\\p{Cc}]{0,40}", nonce in "[ -~]{0,40}") {
            let mut text = String::new();
            push_quoted(&mut text, "realm", &realm);
            push_quoted(&mut text, "nonce", &nonce);
            let params = Params::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(params.get("realm"), Some(realm.as_str()));
            prop_assert_eq!(params.get("nonce"), Some(nonce.as_str()));
        }

        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Params::parse(&[b"Digest ".as_slice(), &bytes].concat());
        }
    }
}
