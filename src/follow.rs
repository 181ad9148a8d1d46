//! Following one call live, in words: what it does, its ladder, its CDR.

use crate::client::{Client, ClientError};
use serde_json::Value;
use std::io::Write;
use std::time::Duration;

/// How often the call's events are asked for while it is followed.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// Prints what happens to a call until it has ended, and gives back its last state.
pub async fn follow(client: &Client, sid: &str, out: &mut impl Write) -> Result<Value, ClientError> {
    let mut seen = -1;
    loop {
        let ended = client.get(&format!("/v1/calls/{sid}")).await?;
        let events = client.get(&format!("/v1/calls/{sid}/events?limit=1000")).await?;
        for event in events["items"].as_array().into_iter().flatten() {
            let seq = event["seq"].as_i64().unwrap_or(0);
            if seq > seen {
                seen = seq;
                if let Some(words) = words(event) {
                    say(out, &format!("  {}  {words}", clock(event)));
                }
            }
        }
        if ended["ended_at"].is_string() {
            return Ok(ended);
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// Writes a line; a terminal that has gone away is no reason to stop.
pub fn say(out: &mut impl Write, line: &str) {
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        tracing::debug!("nobody reads this output");
    }
}

/// The time of day of an event: `04:07:42.123`.
fn clock(event: &Value) -> &str {
    event["at"].as_str().and_then(|at| at.get(11..23)).unwrap_or_default()
}

/// What an event means; `None` for those that the ladder shows.
fn words(event: &Value) -> Option<String> {
    let data = &event["data"];
    let text = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
    Some(match event["type"].as_str()? {
        "admitted" => format!("admitted: {} calls {}", text("from"), text("to")),
        "dialing" => format!("dialing over trunk {}", text("trunk")),
        "ringing" => format!("ringing ({})", data["sip_status"]),
        "early_media" => format!("early media ({})", data["sip_status"]),
        "answered" => format!("answered ({}), {}", data["sip_status"], text("codec")),
        "attempt_failed" => format!("trunk {} failed: {}", text("trunk"), text("reason")),
        "playing" => format!("playing \"{}\"", text("prompt")),
        "played" if data["finished"] == true => format!("played \"{}\" to its end", text("prompt")),
        "played" => format!("stopped \"{}\"", text("prompt")),
        "digit" => format!("key {} pressed for {} ms", text("digit"), data["duration_ms"]),
        "gathered" => format!("gathered \"{}\" ({})", text("digits"), text("reason")),
        "no_media" => "no audio comes from the far end".to_owned(),
        "media_resumed" => "audio comes from the far end again".to_owned(),
        "ended" => format!("ended: {}", ending(data)),
        _ => return None,
    })
}

fn ending(data: &Value) -> String {
    let cause = &data["cause"];
    let who = cause["origin"].as_str().or(cause["who"].as_str()).unwrap_or_default();
    format!(
        "{} ({} by {who}, Q.850 {})",
        data["status"].as_str().unwrap_or_default(),
        cause["reason"].as_str().unwrap_or_default(),
        cause["q850"]
    )
}

/// Prints the messages of a call, a line each, with times counted from the first.
pub async fn ladder(client: &Client, sid: &str, out: &mut impl Write) -> Result<(), ClientError> {
    let ladder = client.get(&format!("/v1/calls/{sid}/ladder?limit=1000")).await?;
    let items = ladder["items"].as_array().cloned().unwrap_or_default();
    let first = items.first().and_then(|item| millis_of_day(clock(item))).unwrap_or(0);
    for item in &items {
        let at = millis_of_day(clock(item)).unwrap_or(first).saturating_sub(first);
        let arrow = if item["direction"] == "sent" { "──────▶" } else { "◀──────" };
        let again = if item["retransmission"] == true { "  (again)" } else { "" };
        let line = item["line"].as_str().unwrap_or_default();
        let cseq = item["cseq"].as_str().unwrap_or_default();
        say(out, &format!("  {at:>6} ms  tandem {arrow} carrier   {line}   [{cseq}]{again}"));
    }
    Ok(())
}

fn millis_of_day(clock: &str) -> Option<u64> {
    let mut parts = clock.split([':', '.']).map(|part| part.parse::<u64>().ok());
    let (h, m, s, ms) = (parts.next()??, parts.next()??, parts.next()??, parts.next()??);
    Some(((h * 60 + m) * 60 + s) * 1000 + ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_time_of_day() {
        assert_eq!(millis_of_day("00:01:02.003"), Some(62_003));
        assert_eq!(millis_of_day("nonsense"), None);
    }

    #[test]
    fn an_end_names_status_cause_and_who() {
        let event = serde_json::json!({"type": "ended", "data": {"status": "busy", "cause": {"q850": 17, "origin": "callee", "reason": "Busy Here"}}});
        assert_eq!(words(&event).as_deref(), Some("ended: busy (Busy Here by callee, Q.850 17)"));
    }
}
