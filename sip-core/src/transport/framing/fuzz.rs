//! The body of the fuzz target `framing`, which the property tests run too.

use super::{FrameError, Framed, MAX_MESSAGE_BYTES, StreamFramer};

/// Reads all but the first byte of `data` as a stream, whole and in pieces whose length the first byte gives. Asserts
/// that the cuts do not matter, that nothing is held beyond the bound, and that an error is the last thing said.
///
/// # Panics
/// Where one of these does not hold: that is its purpose.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else { return };
    let whole = feed(stream, stream.len());
    assert_eq!(feed(stream, usize::from(*cut)), whole);
    let errors = whole.iter().filter(|framed| framed.is_err()).count();
    assert!(errors == 0 || (errors == 1 && whole.last().is_some_and(Result::is_err)));
    let framed: usize = whole.iter().flatten().map(len).sum();
    assert!(framed <= stream.len());
}

fn len(framed: &Framed) -> usize {
    match framed {
        Framed::Message(bytes) => bytes.len(),
        Framed::KeepAlivePing | Framed::Pong => 2,
    }
}

/// All that comes out of a stream in pieces of `cut` bytes.
fn feed(stream: &[u8], cut: usize) -> Vec<Result<Framed, FrameError>> {
    let mut framer = StreamFramer::default();
    let mut out = Vec::new();
    for piece in stream.chunks(cut.max(1)) {
        framer.push(piece);
        out.extend(framer.by_ref());
        assert!(framer.buffer.len() <= MAX_MESSAGE_BYTES);
        assert_eq!(framer.has_partial(), !framer.is_idle());
    }
    out
}
