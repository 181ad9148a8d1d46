//! `tandem call`: one call through a running switch's API, followed live.

use super::Outcome;
use crate::cli::CallArgs;
use crate::client::Client;
use crate::follow::{follow, say};
use serde_json::{Value, json};

/// Places a call and follows it to its end; the exit code says whether it was answered.
pub async fn call(args: CallArgs) -> Outcome {
    let client = Client::new(&args.api.url, &args.api.key)?;
    let answer: Value = match (args.play, args.answer) {
        (Some(prompt), _) => json!({ "play": prompt }),
        (None, Some(text)) => serde_json::from_str(&text).map_err(|error| format!("--answer is not JSON: {error}"))?,
        (None, None) => json!({ "play": "welcome" }),
    };
    let mut body = json!({ "from": args.from, "to": args.to, "answer": answer });
    if let Some(trunk) = args.trunk {
        body["trunk"] = trunk.into();
    }
    let made = client.post("/v1/calls", &body).await?;
    let sid = made["sid"].as_str().unwrap_or_default().to_owned();
    let mut out = std::io::stdout();
    say(&mut out, &sid);
    let ended = follow(&client, &sid, &mut out).await?;
    match ended["status"].as_str() {
        Some("completed") => Ok(()),
        status => Err(format!("the call ended as {}", status.unwrap_or("nothing known")).into()),
    }
}
