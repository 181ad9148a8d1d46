//! The words that the API and the database have for values of the switch, the same that serde writes; and which word
//! somebody probably meant.

use switch::{Direction, Origin, Status};

/// Every status, in the order of a call's life.
pub const STATUSES: [Status; 8] = [
    Status::Queued,
    Status::Ringing,
    Status::InProgress,
    Status::Completed,
    Status::Busy,
    Status::Failed,
    Status::NoAnswer,
    Status::Canceled,
];

/// Both directions.
pub const DIRECTIONS: [Direction; 3] = [Direction::Inbound, Direction::OutboundApi, Direction::OutboundDial];

/// Everyone who may end a call.
pub const ORIGINS: [Origin; 9] = [
    Origin::Caller,
    Origin::Callee,
    Origin::Carrier,
    Origin::Api,
    Origin::Program,
    Origin::Limit,
    Origin::MediaTimeout,
    Origin::Switch,
    Origin::Interrupted,
];

/// `outbound-api`
#[must_use]
pub const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "inbound",
        Direction::OutboundApi => "outbound-api",
        Direction::OutboundDial => "outbound-dial",
    }
}

/// `media_timeout`
#[must_use]
pub const fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Caller => "caller",
        Origin::Callee => "callee",
        Origin::Carrier => "carrier",
        Origin::Api => "api",
        Origin::Program => "program",
        Origin::Limit => "limit",
        Origin::MediaTimeout => "media_timeout",
        Origin::Switch => "switch",
        Origin::Interrupted => "interrupted",
    }
}

/// Edits (insert, delete, replace, swap neighbours) within which a word counts as meant.
const MAX_EDITS: usize = 2;

/// Characters beyond which a word is not compared with anything.
const MAX_COMPARED: usize = 64;

/// The known word that `word` was probably meant to be.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_COMPARED {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let distances = known.into_iter().map(|candidate| (strsim::osa_distance(&word, candidate), candidate));
    let (edits, found) = distances.min_by_key(|(edits, _)| *edits)?;
    (edits <= MAX_EDITS && edits < word.chars().count()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_that_serde_writes() {
        for word in DIRECTIONS {
            assert_eq!(serde_json::to_value(word).unwrap(), direction(word));
        }
        for word in STATUSES {
            assert_eq!(serde_json::to_value(word).unwrap(), word.as_str());
        }
        for word in ORIGINS {
            assert_eq!(serde_json::to_value(word).unwrap(), origin(word));
        }
    }
}
