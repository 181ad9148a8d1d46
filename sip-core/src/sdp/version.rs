//! The version of a description as it is written (RFC 8866 §5.2), without reading the rest of it.

use bytes::Bytes;

/// Where the version stands in a description, and which it is; nothing where there is no `o=` that has one.
fn find(sdp: &[u8]) -> Option<(std::ops::Range<usize>, u64)> {
    let text = std::str::from_utf8(sdp).ok()?;
    let line = if text.starts_with("o=") { 0 } else { text.find("\no=")? + 1 };
    let mut word = line;
    for _ in 0..2 {
        word += text.get(word..)?.find(' ')? + 1;
    }
    let length = text.get(word..)?.find(' ')?;
    let range = word..word + length;
    Some((range.clone(), text.get(range)?.parse().ok()?))
}

/// The version; nothing where there is none.
pub(crate) fn version(sdp: &[u8]) -> Option<u64> {
    find(sdp).map(|(_, version)| version)
}

/// The same description under another version; as it is where it has none.
pub(crate) fn under_version(sdp: &Bytes, version: u64) -> Bytes {
    let Some((range, _)) = find(sdp) else { return sdp.clone() };
    let (before, after) = (sdp.get(..range.start), sdp.get(range.end..));
    [before.unwrap_or_default(), version.to_string().as_bytes(), after.unwrap_or_default()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_is_another_one() {
        let sdp = Bytes::from_static(b"v=0\r\no=- 77 9 IN IP4 203.0.113.5\r\ns=o= 1 2 3\r\n");
        assert_eq!(version(&sdp), Some(9));
        assert_eq!(under_version(&sdp, 10), "v=0\r\no=- 77 10 IN IP4 203.0.113.5\r\ns=o= 1 2 3\r\n");
    }

    #[test]
    fn what_has_no_version_stays_as_it_is() {
        for text in
            ["", "o=", "v=0\r\n", "v=0\r\no=- 77", "v=0\r\no=- 77 x IN IP4 h\r\n", "o=- 1 99999999999999999999 IN"]
        {
            let sdp = Bytes::from_static(text.as_bytes());
            assert_eq!((version(&sdp), under_version(&sdp, 1)), (None, sdp.clone()), "{text:?}");
        }
        assert_eq!(version(b"\xff\no=- 1 2 IN"), None);
    }
}
