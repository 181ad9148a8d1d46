//! The vocabulary, and the nearest word to one that is not in it.

/// The verbs that this version runs.
pub(super) const VERBS: &[&str] = &[
    "play",
    "say",
    "pause",
    "gather",
    "record",
    "bridge",
    "conference",
    "redirect",
    "refer",
    "reject",
    "flow",
    "url",
    "twiml",
    "echo",
    "hangup",
];

/// The verbs that DESIGN.md §5 promises and this version does not run yet.
pub(super) const LATER: &[&str] = &["queue", "stream"];

/// The options of `verb`.
pub(super) fn options(verb: &str) -> &'static [&'static str] {
    match verb {
        "play" => &["loop"],
        "say" => &["voice", "language", "loop"],
        "gather" => &[
            "loop",
            "max_digits",
            "timeout_s",
            "finish_on",
            "attempts",
            "on",
            "input",
            "language",
            "hints",
            "action",
            "method",
            "action_on_empty",
        ],
        "record" => &["timeout_s", "max_s", "finish_on", "beep", "trim", "action", "method", "callback"],
        "bridge" => &[
            "mode",
            "timeout_s",
            "caller_id",
            "ringback",
            "time_limit_s",
            "hangup_on_star",
            "answer_on_bridge",
            "recorded",
            "action",
            "method",
        ],
        "conference" => &[
            "muted",
            "beep",
            "start_on_enter",
            "end_on_exit",
            "wait",
            "max_members",
            "recorded",
            "label",
            "time_limit_s",
            "hangup_on_star",
            "action",
            "method",
        ],
        "refer" => &["action", "method"],
        "redirect" | "url" => &["method", "fallback_url", "fallback_method"],
        "twiml" => &["fallback_url", "fallback_method"],
        "flow" => &["with"],
        _ => &[],
    }
}

/// Greatest number of edits between a word and the one it was meant to be.
const MAX_EDITS: usize = 2;

/// The word of `known` that `word` was probably meant to be: at most two edits away (a swap of neighbours is one), and
/// fewer than the word has letters. The first of several.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 32 {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    let distances = known.into_iter().map(|candidate| (strsim::osa_distance(&lower, candidate), candidate));
    let (edits, found) = distances.min_by_key(|(edits, _)| *edits)?;
    (edits <= MAX_EDITS && edits < word.chars().count()).then_some(found)
}

/// Words in a row, for a message: "`a`, `b` and `c`".
pub(super) fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
    }
}
