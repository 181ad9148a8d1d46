//! `[[rate]]`: what calls cost, by how their numbers begin.

use super::section::{Found, Section};
use carrier::{Deck, Rate};

/// All rates that are in order. Two of one prefix are a mistake.
pub fn rates(sections: Vec<Section>) -> Deck {
    let (mut deck, mut seen) = (Deck::default(), std::collections::BTreeSet::new());
    for mut section in sections {
        let prefix = match section.required("prefix", "+1") {
            Some(found) => section.read("prefix", found, prefix),
            None => None,
        };
        let per_minute = match section.required("per_minute", "0.0085") {
            Some(found) => section.read("per_minute", found, amount),
            None => None,
        };
        let increment_s = section.number("increment_s", 1..=3_600, 60) as u32;
        let minimum_s = section.number("minimum_s", 0..=3_600, 0) as u32;
        if let (Some(Found { value: prefix, place }), Some(per_minute)) = (prefix, per_minute) {
            if !seen.insert(prefix.clone()) {
                section.fault(&place, format!("there is a [[rate]] \"+{prefix}\" already"));
            }
            deck.insert(&prefix, Rate { per_minute: per_minute.value, increment_s, minimum_s });
        }
        section.finish();
    }
    deck
}

fn prefix(text: &str) -> Result<String, &'static str> {
    let digits = text.strip_prefix('+').unwrap_or_default();
    let fits = (1..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    if fits { Ok(digits.to_owned()) } else { Err("write how numbers begin, like \"+1\" or \"+4930\"") }
}

fn amount(text: &str) -> Result<u64, &'static str> {
    let wrong = "write what a minute costs, in quotes and with at most six places, like \"0.0085\"";
    api::registry::money(&serde_json::Value::from(text)).ok_or(wrong)
}
