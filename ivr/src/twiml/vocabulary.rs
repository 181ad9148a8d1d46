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

/// Every attribute that is heeded or known, each with its element: a document that writes no other gets no warning of a
/// mistake.
pub fn vocabulary() -> impl Iterator<Item = (&'static str, &'static str)> {
    let all =
        |words: &'static Words| words.known.iter().chain(words.later).map(|attribute| (words.element, *attribute));
    ELEMENTS.iter().flat_map(all)
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
