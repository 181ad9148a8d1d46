//! What a trunk is chosen by and how it writes numbers, read: the same words in the configuration file and over HTTP.

use super::read::{money, wrong};
use crate::http::{Fields, Problem};
use carrier::{MAX_PREFIXES, NumberForm, TrunkConfig, WhenFull};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The words of a trunk that are read here.
pub const ROUTING: [&str; 13] = [
    "group",
    "priority",
    "weight",
    "prefixes",
    "costs",
    "when_full",
    "final_codes",
    "number_form",
    "country",
    "national_prefix",
    "international_prefix",
    "strip",
    "prepend",
];

/// Reads these words out of a table of the configuration into a trunk, which checks them as a whole.
///
/// # Errors
/// What is wrong first, with its field.
pub fn routing(config: &mut TrunkConfig, words: Map<String, Value>) -> Result<(), Problem> {
    fill(config, &mut Fields::of(words, &ROUTING, &[])?)
}

pub(super) fn fill(config: &mut TrunkConfig, fields: &mut Fields) -> Result<(), Problem> {
    let short = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
    let route = &mut config.route;
    let group = fields.optional_text("group")?.map(|text| text.parse());
    route.group = group.transpose().map_err(|error: carrier::TrunkError| wrong("group", error.to_string()))?;
    route.priority = short(fields.whole("priority", 0..=u16::MAX.into(), carrier::DEFAULT_PRIORITY.into())?);
    route.weight = short(fields.whole("weight", 0..=u16::MAX.into(), 0)?);
    route.prefixes = prefixes(fields)?;
    route.costs = fields.take("costs").map(|value| costs(&value)).transpose()?.unwrap_or_default();
    route.when_full = match fields.optional_text("when_full")?.as_deref() {
        None | Some("next") => WhenFull::Next,
        Some("wait") => WhenFull::Wait,
        Some(_) => return Err(wrong("when_full", "`when_full` is \"next\" or \"wait\"")),
    };
    route.final_codes = fields.take("final_codes").map(|value| codes(&value)).transpose()?.unwrap_or_default();
    let numbers = &mut config.numbers;
    numbers.form = match fields.optional_text("number_form")?.as_deref() {
        None | Some("e164") => NumberForm::E164,
        Some("digits") => NumberForm::Digits,
        Some("national") => NumberForm::National,
        Some(_) => return Err(wrong("number_form", "`number_form` is \"e164\", \"digits\" or \"national\"")),
    };
    numbers.country = fields.optional_text("country")?;
    for (key, text) in [
        ("national_prefix", &mut numbers.national_prefix),
        ("international_prefix", &mut numbers.international_prefix),
        ("strip", &mut numbers.strip),
        ("prepend", &mut numbers.prepend),
    ] {
        if let Some(given) = fields.optional_text(key)? {
            *text = given;
        }
    }
    Ok(())
}

/// `+1832` as digits: what it is beyond that, the trunk checks.
fn digits(field: &str, text: &str) -> Result<String, Problem> {
    let digits = text.strip_prefix('+').map(str::to_owned);
    digits.ok_or_else(|| wrong(field, "write how numbers begin, as in \"+1\" or \"+4930\""))
}

fn prefixes(fields: &mut Fields) -> Result<BTreeSet<String>, Problem> {
    let Some(list) = fields.texts("prefixes")? else { return Ok(BTreeSet::new()) };
    if list.is_empty() || list.len() > MAX_PREFIXES {
        let detail =
            format!("`prefixes` has 1 to {MAX_PREFIXES} entries; leave it out for a trunk that takes all numbers");
        return Err(wrong("prefixes", detail));
    }
    list.iter().map(|text| digits("prefixes", text)).collect()
}

fn costs(value: &Value) -> Result<BTreeMap<String, u64>, Problem> {
    let example =
        "`costs` says what a minute costs by how numbers begin, with at most six places: {\"+1\": \"0.0085\"}";
    let Value::Object(map) = value else { return Err(wrong("costs", example)) };
    let cost = |(prefix, amount): (&String, &Value)| {
        Ok((digits("costs", prefix)?, money(amount).ok_or_else(|| wrong("costs", example))?))
    };
    map.iter().map(cost).collect()
}

fn codes(value: &Value) -> Result<Vec<u16>, Problem> {
    let code = |value: &Value| value.as_u64().and_then(|code| u16::try_from(code).ok());
    let list = value.as_array().and_then(|list| list.iter().map(code).collect::<Option<Vec<u16>>>());
    list.filter(|list| list.len() <= 400)
        .ok_or_else(|| wrong("final_codes", "`final_codes` is a list of final responses, as in [503]"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use carrier::{Profile, Trunk, Uri};
    use serde_json::json;

    fn read(words: Value) -> Result<TrunkConfig, String> {
        let uri = Uri::parse(b"sip:sbc.example.com").unwrap();
        let mut config = TrunkConfig::new("t".parse().unwrap(), Profile::Generic, uri);
        routing(&mut config, words.as_object().unwrap().clone()).map_err(|problem| problem.to_string())?;
        Trunk::new(config).map(|trunk| trunk.config().clone()).map_err(|error| format!("{}: {error}", error.key()))
    }

    #[test]
    fn every_word_is_read() {
        let words = json!({
            "group": "us", "priority": 1, "weight": 20, "prefixes": ["+1", "+44"], "costs": { "+1": "0.005", "+44": 0.02 },
            "when_full": "wait", "final_codes": [503], "number_form": "national", "country": "49",
            "national_prefix": "", "international_prefix": "000", "strip": "0", "prepend": "99#",
        });
        assert!(ROUTING.iter().all(|word| words.get(word).is_some()));
        let config = read(words).unwrap();
        let route = &config.route;
        assert_eq!(route.group.as_ref().map(|group| group.as_str()), Some("us"));
        assert_eq!((route.priority, route.weight, route.when_full), (1, 20, WhenFull::Wait));
        assert_eq!(route.prefixes, ["1".to_owned(), "44".to_owned()].into());
        assert_eq!(route.costs, [("1".to_owned(), 5_000), ("44".to_owned(), 20_000)].into());
        assert_eq!(route.final_codes, [503]);
        let numbers = &config.numbers;
        assert_eq!((numbers.form, numbers.country.as_deref()), (NumberForm::National, Some("49")));
        let texts = [&numbers.national_prefix, &numbers.international_prefix, &numbers.strip, &numbers.prepend];
        assert_eq!(texts, ["", "000", "0", "99#"]);
        assert_eq!(read(json!({})).unwrap().route, carrier::RouteConfig::default());
    }

    #[test]
    fn what_is_wrong_names_the_word_and_what_to_write() {
        for (words, field) in [
            (json!({ "group": "a b" }), "group"),
            (json!({ "priority": 70_000 }), "priority"),
            (json!({ "prefixes": [] }), "prefixes"),
            (json!({ "prefixes": ["1"] }), "prefixes"),
            (json!({ "prefixes": ["+"] }), "prefixes"),
            (json!({ "costs": { "+1": "dear" } }), "costs"),
            (json!({ "costs": { "1": "0.1" } }), "costs"),
            (json!({ "when_full": "drop" }), "when_full"),
            (json!({ "final_codes": [200] }), "final_codes"),
            (json!({ "final_codes": ["503"] }), "final_codes"),
            (json!({ "number_form": "local" }), "number_form"),
            (json!({ "number_form": "national" }), "country"),
            (json!({ "country": "+49" }), "country"),
            (json!({ "prepend": "9@x" }), "prepend"),
        ] {
            let said = read(words.clone()).unwrap_err();
            assert!(said.contains(field), "{words}: {said}");
        }
    }
}
