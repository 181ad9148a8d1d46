//! Every element of a document and its attributes (TWILIO.md §4.1): those that are heeded, and those that are known and not
//! built yet. What stands in neither list is a mistake, and a warning says what may have been meant.

/// What may be written in an element.
pub(super) struct Words {
    /// Its name; `Refer Sip` is the one inside a Refer.
    element: &'static str,
    /// Attributes that are heeded.
    pub(super) known: &'static [&'static str],
    /// Attributes that are passed over, with a warning.
    pub(super) later: &'static [&'static str],
}

const fn words(element: &'static str, known: &'static [&'static str], later: &'static [&'static str]) -> Words {
    Words { element, known, later }
}

/// The words of an element; none for one that has no attributes, or is not known.
pub(super) fn of(element: &str) -> Option<&'static Words> {
    ELEMENTS.iter().find(|words| words.element == element)
}

const ELEMENTS: [Words; 15] = [
    words("Say", &["voice", "language", "loop"], &[]),
    words("Play", &["loop", "digits"], &[]),
    words("Pause", &["length"], &[]),
    words(
        "Gather",
        &[
            "action",
            "method",
            "input",
            "timeout",
            "finishOnKey",
            "numDigits",
            "actionOnEmptyResult",
            "speechTimeout",
            "maxSpeechTime",
            "language",
            "hints",
            "profanityFilter",
            "speechModel",
            "enhanced",
            "partialResultCallback",
            "partialResultCallbackMethod",
            "bargeIn",
        ],
        &["debug"],
    ),
    words(
        "Record",
        &[
            "action",
            "method",
            "timeout",
            "finishOnKey",
            "maxLength",
            "playBeep",
            "trim",
            "recordingStatusCallback",
            "recordingStatusCallbackMethod",
            "recordingStatusCallbackEvent",
            "transcribe",
            "transcribeCallback",
        ],
        &["recordingTrack", "recordingChannels"],
    ),
    words(
        "Dial",
        &[
            "action",
            "method",
            "timeout",
            "timeLimit",
            "hangupOnStar",
            "callerId",
            "answerOnBridge",
            "ringTone",
            "record",
            "recordingTrack",
            "trim",
            "recordingStatusCallback",
            "recordingStatusCallbackMethod",
            "recordingStatusCallbackEvent",
            "sequential",
            "referUrl",
            "referMethod",
        ],
        &["events"],
    ),
    words(
        "Number",
        &[
            "url",
            "method",
            "statusCallback",
            "statusCallbackMethod",
            "statusCallbackEvent",
            "sendDigits",
            "machineDetection",
            "machineDetectionTimeout",
            "machineDetectionSpeechThreshold",
            "machineDetectionSpeechEndThreshold",
            "machineDetectionSilenceTimeout",
            "amdStatusCallback",
            "amdStatusCallbackMethod",
        ],
        &["byoc", "phoneNumberSid"],
    ),
    words(
        "Sip",
        &[
            "url",
            "method",
            "statusCallback",
            "statusCallbackMethod",
            "statusCallbackEvent",
            "username",
            "password",
            "machineDetection",
            "machineDetectionTimeout",
            "machineDetectionSpeechThreshold",
            "machineDetectionSpeechEndThreshold",
            "machineDetectionSilenceTimeout",
            "amdStatusCallback",
            "amdStatusCallbackMethod",
        ],
        &["byoc"],
    ),
    words("Client", &["url", "method", "statusCallback", "statusCallbackMethod", "statusCallbackEvent"], &[]),
    words("Parameter", &["name", "value"], &[]),
    words(
        "Conference",
        &[
            "muted",
            "beep",
            "startConferenceOnEnter",
            "endConferenceOnExit",
            "waitUrl",
            "waitMethod",
            "maxParticipants",
            "record",
            "region",
            "coach",
            "trim",
            "participantLabel",
            "jitterBufferSize",
            "statusCallback",
            "statusCallbackMethod",
            "statusCallbackEvent",
            "recordingStatusCallback",
            "recordingStatusCallbackMethod",
            "recordingStatusCallbackEvent",
        ],
        &["eventCallbackUrl"],
    ),
    words("Redirect", &["method"], &[]),
    words("Reject", &["reason"], &[]),
    words("Refer", &["action", "method"], &[]),
    words("Hangup", &[], &[]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// What the documents of the corpus write: `Gather numDigits`.
    fn written() -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/twiml");
        let mut written = BTreeSet::new();
        for entry in std::fs::read_dir(folder).expect("the corpus") {
            let text = std::fs::read_to_string(entry.expect("a file").path()).expect("a text");
            let (document, _) = text.rsplit_once("\n<!-- ").expect("a script behind the document");
            let Ok(tree) = roxmltree::Document::parse(document) else { continue };
            for node in tree.descendants().filter(roxmltree::Node::is_element) {
                let name = node.tag_name().name();
                written.extend(node.attributes().map(|attribute| format!("{name} {}", attribute.name())));
            }
        }
        written
    }

    #[test]
    fn every_attribute_of_the_vocabulary_is_in_a_document_of_the_corpus() {
        let written = written();
        let words = ELEMENTS.iter().flat_map(|Words { element, known, later }| {
            known.iter().chain(*later).map(move |attribute| format!("{element} {attribute}"))
        });
        let missing: Vec<String> = words.filter(|word| !written.contains(word)).collect();
        assert!(missing.is_empty(), "no document of ivr/tests/twiml writes {missing:#?}");
    }

    #[test]
    fn each_element_stands_once_and_no_word_twice_in_it() {
        let mut elements = BTreeSet::new();
        for Words { element, known, later } in &ELEMENTS {
            assert!(elements.insert(element), "{element} stands twice");
            let mut attributes = BTreeSet::new();
            assert!(known.iter().chain(*later).all(|word| attributes.insert(word)), "{element} has a word twice");
        }
    }
}
