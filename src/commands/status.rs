//! `tandem status`: trunks, calls and health of a running switch.

use super::Outcome;
use crate::cli::Api;
use crate::client::Client;

/// Prints how a running switch is.
pub async fn status(api: Api) -> Outcome {
    let client = Client::new(&api.url, &api.key)?;
    let health = client.get("/health").await?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("?").to_owned();
    println!("{} (version {})", text(&health["status"]), text(&health["version"]));
    println!("  database   {}", text(&health["database"]["status"]));
    println!("  SIP        {}", text(&health["sip"]["status"]));
    for (name, trunk) in health["sip"]["trunks"].as_object().into_iter().flatten() {
        println!("  trunk      {name}: {}, {} calls", text(&trunk["status"]), trunk["active_calls"]);
    }
    for status in ["queued", "ringing", "in-progress"] {
        let calls = client.get(&format!("/v1/calls?status={status}&limit=1000")).await?;
        let items = calls["items"].as_array().map_or(0, Vec::len);
        let more = if calls["next_cursor"].is_string() { " or more" } else { "" };
        println!("  {status:<10} {items}{more}");
    }
    Ok(())
}
