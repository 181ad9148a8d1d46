//! TwiML documents, compiled to the verbs of the program machine (TWILIO.md §4).
//!
//! What is no XML, or no `Response`, is an error with its line and column. What is not understood inside of one is a
//! [`Warning`] with its place, and is left out or takes its default (TWILIO.md §4: code 12200); what this version does
//! not run yet is a warning too. A document type declaration is refused, so that no entity is ever expanded.

mod attributes;
mod dial;
mod nouns;
mod verbs;
mod vocabulary;

pub use vocabulary::vocabulary;

use crate::answer::Verb;
use crate::limits::{MAX_BODY, MAX_VERBS, MAX_WARNINGS, MAX_XML_DEPTH};
use crate::program::Warning;
use roxmltree::{Node, ParsingOptions};
use url::Url;

/// A document that can be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// Its verbs, in order.
    pub verbs: Vec<Verb>,
    /// What of it was not understood.
    pub warnings: Vec<Warning>,
}

/// Why a text is no document (code 12100).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct TwimlError {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// What is wrong and what would be right.
    pub message: String,
}

/// The code of a warning about a document's words (TWILIO.md §3.4).
const SCHEMA: u32 = 12200;

/// The code of a URL that is none.
const NO_URL: u32 = 11100;

/// What runs in a document's place where there are too many nodes: nothing in [`MAX_BODY`] bytes of sense has so many.
const MAX_NODES: u32 = 16 * 1024;

impl Document {
    pub(crate) fn of(verbs: Vec<Verb>) -> Self {
        Self { verbs, warnings: Vec::new() }
    }
}

/// Reads a document. `base` is its own URL, against which those in it are resolved; without one, they must be absolute.
/// A text of nothing but white space is an empty document.
///
/// # Errors
/// Where it is no XML, has a document type declaration, is too long or too deep, or its outermost element is no
/// `Response`.
pub fn compile(text: &str, base: Option<&Url>) -> Result<Document, TwimlError> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        return Ok(Document::default());
    }
    if text.len() > MAX_BODY {
        return Err(TwimlError { line: 1, column: 1, message: format!("a document has at most {MAX_BODY} bytes") });
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let tree = roxmltree::Document::parse_with_options(text, options).map_err(malformed)?;
    let root = tree.root_element();
    let mut compiler = Compiler { base, warnings: Vec::new(), unsaid: 0, verbs: 0 };
    if root.tag_name().name() != "Response" {
        let message = format!("the outermost element is `Response`, not `{}`", brief(root.tag_name().name()));
        return Err(compiler.error(&root, message));
    }
    if let Some(deep) = root.descendants().find(|node| node.ancestors().nth(MAX_XML_DEPTH).is_some()) {
        return Err(compiler.error(&deep, format!("elements are nested at most {MAX_XML_DEPTH} deep")));
    }
    let verbs = compiler.response(&root)?;
    Ok(Document { verbs, warnings: compiler.into_warnings() })
}

fn malformed(why: roxmltree::Error) -> TwimlError {
    let place = why.pos();
    // The library's sentences tell the place, which this error does by itself.
    let mut message = why.to_string().replace(&format!(" at {}:{}", place.row, place.col), "");
    if matches!(why, roxmltree::Error::DtdDetected) {
        "a document type declaration is not taken: leave <!DOCTYPE …> out".clone_into(&mut message);
    }
    TwimlError { line: place.row, column: place.col, message }
}

/// At most 40 characters of a word that somebody else has written.
fn brief(word: &str) -> &str {
    crate::http::cut(word, 40)
}

/// Reads one document.
struct Compiler<'a> {
    base: Option<&'a Url>,
    warnings: Vec<Warning>,
    /// Warnings beyond [`MAX_WARNINGS`].
    unsaid: usize,
    verbs: usize,
}

impl Compiler<'_> {
    fn response(&mut self, root: &Node<'_, '_>) -> Result<Vec<Verb>, TwimlError> {
        let mut verbs = Vec::new();
        self.attributes(root);
        for node in root.children() {
            if node.is_element() {
                self.count(&node)?;
                verbs.extend(self.verb(&node)?);
            } else if node.is_text() && node.text().is_some_and(|text| !text.trim().is_empty()) {
                self.warn(&node, "text outside of a verb is passed over");
            }
        }
        Ok(verbs)
    }

    /// One verb more.
    fn count(&mut self, node: &Node<'_, '_>) -> Result<(), TwimlError> {
        self.verbs += 1;
        if self.verbs > MAX_VERBS {
            return Err(self.error(node, format!("a document has at most {MAX_VERBS} verbs, nested ones included")));
        }
        Ok(())
    }

    fn error(&self, node: &Node<'_, '_>, message: String) -> TwimlError {
        let place = node.document().text_pos_at(node.range().start);
        TwimlError { line: place.row, column: place.col, message }
    }

    fn warn(&mut self, node: &Node<'_, '_>, message: impl AsRef<str>) {
        self.warn_of(SCHEMA, node, message.as_ref());
    }

    fn warn_of(&mut self, code: u32, node: &Node<'_, '_>, message: &str) {
        if self.warnings.len() >= MAX_WARNINGS {
            self.unsaid += 1;
            return;
        }
        let place = node.document().text_pos_at(node.range().start);
        self.warnings.push(Warning::new(code, format!("line {}, column {}: {message}", place.row, place.col)));
    }

    fn into_warnings(mut self) -> Vec<Warning> {
        if self.unsaid > 0 {
            self.warnings.push(Warning::new(SCHEMA, format!("and {} more", self.unsaid)));
        }
        self.warnings
    }
}
