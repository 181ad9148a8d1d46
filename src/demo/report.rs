//! What the demo prints of the call that it made, and whether that is as it must be.

use crate::commands::Outcome;
use crate::follow::say;
use carrier_sim::CallReport;
use serde_json::Value;
use std::io::Stdout;
use std::path::Path;

/// The call detail record, a line a group.
pub fn cdr(call: &Value, out: &mut Stdout) {
    let text = |key: &str| call[key].as_str().map_or_else(|| call[key].to_string(), str::to_owned);
    say(out, &format!("  {}  {} → {}  over {}", text("sid"), text("from"), text("to"), text("trunk")));
    say(out, &format!("  status {}   cause {}", text("status"), call["cause"]));
    say(
        out,
        &format!("  queued {}   answered {}   ended {}", text("queued_at"), text("answered_at"), text("ended_at")),
    );
    for key in ["duration_ms", "billable_ms", "pdd_ms", "codec", "carrier_call_id"] {
        say(out, &format!("  {key:<16} {}", text(key)));
    }
}

/// Loss, jitter and MOS each way.
pub fn quality(call: &Value, out: &mut Stdout) {
    let quality = if call["quality"].is_object() { &call["quality"] } else { call };
    for way in ["sent", "received"] {
        let stream = &quality[way];
        say(
            out,
            &format!(
                "  {way:<9} {:>5} packets   lost {} ({} %)   jitter {:.2} ms   MOS {:.2}",
                stream["packets"].as_u64().unwrap_or(0),
                stream["lost"],
                stream["loss_percent"],
                stream["jitter_ms"].as_f64().unwrap_or(0.0),
                stream["mos"].as_f64().unwrap_or(0.0),
            ),
        );
    }
}

/// Which prompts the far end recognised, and the WAV of all it heard.
pub fn heard(report: &CallReport, dir: &Path, out: &mut Stdout) -> Outcome {
    for heard in &report.heard {
        let how = if heard.exact {
            "sample for sample, without a gap".to_owned()
        } else {
            format!("{} samples missing, {} altered, {} not played any more", heard.missing, heard.altered, heard.cut)
        };
        say(out, &format!("  \"{}\" at {:>5} ms: {how}", heard.prompt, heard.offset_ms));
    }
    if let Some(capture) = &report.capture {
        let path = dir.join("heard.wav");
        std::fs::write(&path, capture.to_wav()).map_err(|error| format!("{}: {error}", path.display()))?;
        say(out, &format!("  all of it: {}", path.display()));
    }
    Ok(())
}

/// What must be so for the demo to have worked.
pub fn verdict(call: &Value, report: &CallReport) -> Outcome {
    if call["status"] != "completed" {
        return Err(format!("the call ended as {}", call["status"]).into());
    }
    let whole = |name: &str| report.heard.iter().any(|heard| heard.prompt == name && heard.exact);
    let missed: Vec<&str> = ["welcome", "goodbye"].into_iter().filter(|name| !whole(name)).collect();
    if !missed.is_empty() {
        return Err(format!("the far end did not hear {} sample for sample", missed.join(" and ")).into());
    }
    let holes = report.heard.iter().map(|heard| heard.missing + heard.altered).sum::<usize>();
    if holes > 0 || !report.complaints.is_empty() {
        return Err(format!("{holes} samples were lost; the carrier complains: {:?}", report.complaints).into());
    }
    Ok(())
}
