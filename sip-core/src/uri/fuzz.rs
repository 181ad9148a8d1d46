//! The body of the fuzz target `uri`, which the property tests run too.

use super::Uri;

/// Reads `data` as a URI, and as its parts. Asserts that what is read is written as valid text that means the same.
///
/// # Panics
/// Where that does not hold: that is its purpose.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    let Ok(uri) = Uri::parse(data) else { return };
    check(&uri);
    assert!(uri.equivalent(&uri));
    let text = String::from_utf8_lossy(data);
    for changed in [
        uri.clone().with_user(Some(&text)),
        uri.clone().with_user(None),
        uri.clone().with_user_of(&uri),
        uri.clone().with_param("x", Some(&text)),
        uri.clone().with_param(&text, None),
        uri.clone().without_param("transport"),
        uri.clone().without_headers(),
    ] {
        assert_eq!((changed.scheme(), changed.host(), changed.port()), (uri.scheme(), uri.host(), uri.port()));
        if changed.as_str().len() <= super::MAX_URI_BYTES && changed.params().count() <= super::MAX_URI_PARAMS {
            check(&changed);
        }
    }
    if uri.is_sip() {
        assert_eq!(uri.clone().with_user(Some(&text)).user_unescaped().as_deref(), Some(&*text));
        assert!(!uri.clone().without_headers().has_headers());
    }
}

/// The text is printable ASCII without what could end it early, and is read as the same parts.
fn check(uri: &Uri) {
    assert!(uri.as_str().bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>')), "{uri}");
    let again = Uri::parse(uri.as_str().as_bytes());
    assert_eq!(again.as_ref(), Ok(uri), "written and not read");
    let Ok(again) = again else { return };
    assert_eq!((again.user(), again.password()), (uri.user(), uri.password()));
    assert_eq!((again.host(), again.port()), (uri.host(), uri.port()));
    assert!(again.params().eq(uri.params()) && again.headers().eq(uri.headers()));
}
