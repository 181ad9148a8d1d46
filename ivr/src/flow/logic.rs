//! States that decide: tests of variables, and the time of day.

use super::hours::{Hours, Open, days, time, zone};
use super::parse::Reader;
use super::states::{Is, State, Test};
use super::template::check;
use crate::answer::parse::{Table, show};
use crate::limits::MAX_BRANCHES;
use serde_json::Value;

impl Reader {
    pub(super) fn branch(&mut self, argument: &Value, table: &Table, path: &str) -> Option<State> {
        self.only(table, &["branch", "else"], path);
        let Value::Array(items) = argument else {
            self.wrong(&format!("{path}.branch"), format!("an array of tests; found {}", show(argument)));
            return None;
        };
        if items.is_empty() || items.len() > MAX_BRANCHES {
            self.wrong(&format!("{path}.branch"), format!("1 to {MAX_BRANCHES} tests, these are {}", items.len()));
        }
        let tests = items.iter().take(MAX_BRANCHES).enumerate();
        let tests = tests.filter_map(|(nth, item)| self.test(item, &format!("{path}.branch[{nth}]"))).collect();
        Some(State::Branch { tests, otherwise: self.edge(table, "else", path) })
    }

    fn test(&mut self, item: &Value, path: &str) -> Option<(Test, Option<usize>)> {
        let words = ["equals", "in", "begins", "empty", "less", "greater"];
        let Value::Object(table) = item else {
            self.wrong(path, "a test is a table such as { \"var\": \"pin\", \"equals\": \"1234\", \"next\": \"in\" }");
            return None;
        };
        self.only(table, &[&words[..], &["var", "next"]].concat(), path);
        let path_of: Vec<String> =
            table.get("var").and_then(Value::as_str).unwrap_or_default().split('.').map(str::to_owned).collect();
        if let Err(why) = check(&path_of, &self.variables) {
            self.wrong(&format!("{path}.var"), why);
        }
        let mut said = words.iter().copied().filter(|word| table.contains_key(*word));
        let (Some(word), None) = (said.next(), said.next()) else {
            self.wrong(path, format!("one comparison of {}", words.join(", ")));
            return None;
        };
        let value = table.get(word)?;
        let place = format!("{path}.{word}");
        let texts = |value: &Value| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let is = match word {
            "equals" => self.template(value, &place).map(Is::Equal),
            "in" => texts(value).filter(|texts| texts.len() <= MAX_BRANCHES).map(Is::In),
            "begins" => value.as_str().map(|text| Is::Begins(text.to_owned())),
            "empty" => value.as_bool().map(Is::Empty),
            "less" => value.as_f64().map(Is::Less),
            _ => value.as_f64().map(Is::Greater),
        };
        if is.is_none() && word != "equals" {
            self.wrong(&place, format!("`{word}` compares with something else; found {}", show(value)));
        }
        let next = self.edge(table, "next", path);
        Some((Test { path: path_of, is: is? }, next))
    }

    pub(super) fn hours(&mut self, argument: &Value, table: &Table, path: &str) -> Option<State> {
        self.only(table, &["hours", "open", "closed", "zone", "except"], path);
        let inner = format!("{path}.hours");
        let Value::Array(items) = argument else {
            self.wrong(
                &inner,
                format!(
                    "an array such as [{{ \"days\": \"mon-fri\", \"from\": \"09:00\", \"to\": \"17:00\" }}]; found {}",
                    show(argument)
                ),
            );
            return None;
        };
        if items.len() > MAX_BRANCHES {
            self.wrong(&inner, format!("at most {MAX_BRANCHES} times of opening, these are {}", items.len()));
        }
        let items = items.iter().take(MAX_BRANCHES).enumerate();
        let spans = items.filter_map(|(nth, item)| self.span(item, &format!("{inner}[{nth}]"))).collect();
        let place = match table
            .get("zone")
            .map(|name| name.as_str().map_or_else(|| Err(format!("a zone's name; found {}", show(name))), zone))
        {
            None => self.zone.clone(),
            Some(Ok(zone)) => zone,
            Some(Err(why)) => {
                self.wrong(&format!("{path}.zone"), why);
                return None;
            }
        };
        let except = self.dates(table, path);
        let (open, closed) = (self.edge(table, "open", path), self.edge(table, "closed", path));
        Some(State::Hours { hours: Box::new(Hours { zone: place, spans, except }), open, closed })
    }

    fn span(&mut self, item: &Value, path: &str) -> Option<Open> {
        let Value::Object(table) = item else {
            self.wrong(path, "a table with `days`, `from` and `to`");
            return None;
        };
        self.only(table, &["days", "from", "to"], path);
        let said = |word: &str| table.get(word).and_then(Value::as_str);
        let days = match table.get("days") {
            None => days("mon-sun"),
            Some(text) => text.as_str().and_then(days),
        };
        if days.is_none() {
            self.wrong(
                &format!("{path}.days"),
                "days are mon, tue, wed, thu, fri, sat, sun, or a range such as mon-fri",
            );
        }
        let (from, to) = (said("from").and_then(time), said("to").and_then(time));
        if from.is_none() {
            self.wrong(&format!("{path}.from"), "a time such as \"09:00\"");
        }
        if to.is_none() && said("to") != Some("24:00") {
            self.wrong(&format!("{path}.to"), "a time such as \"17:00\"; midnight at the day's end is \"24:00\"");
        }
        Some(Open { days: days?, from: from?, to })
    }

    fn dates(&mut self, table: &Table, path: &str) -> Vec<jiff::civil::Date> {
        let Some(value) = table.get("except") else { return Vec::new() };
        let items = value.as_array().filter(|items| items.len() <= 366);
        let dates =
            items.and_then(|items| items.iter().map(|day| day.as_str()?.parse().ok()).collect::<Option<Vec<_>>>());
        dates.unwrap_or_else(|| {
            self.wrong(&format!("{path}.except"), "an array of at most 366 days such as \"2026-12-25\"");
            Vec::new()
        })
    }
}
