//! `tandem check`: is this configuration in order, and what would it bind and dial?

use super::probe::{Found, probe};
use super::{Outcome, load};
use crate::cli::CheckArgs;
use crate::config::Config;
use crate::sounds::SOUNDS;

/// Validates all of the configuration without binding or dialling anything; with `--probe` the trunks are asked then. It
/// fails where one of them does not answer as it should.
pub async fn check(args: &CheckArgs) -> Outcome {
    let path = &args.config;
    let config = load(path)?;
    let missing = missing_prompts(&config);
    if !missing.is_empty() {
        return Err(missing.join("\n").into());
    }
    println!("{} is in order", path.display());
    println!("  HTTP       {}", config.http);
    for listen in &config.sip.listen {
        println!("  SIP        {} {}", listen.transport, listen.addr);
    }
    println!("  RTP ports  {}-{}", config.media.ports.0, config.media.ports.1);
    println!("  database   {}", without_password(&config.database_url));
    println!("  journal    {} (at most {} MB)", config.journal_dir.display(), config.journal_max_mb);
    for trunk in &config.trunks {
        println!(
            "  trunk      {} dials {} (at most {} calls a second, {} at once)",
            trunk.name, trunk.uri, trunk.max_cps, trunk.max_calls
        );
        let notes = carrier::Trunk::new(trunk.clone()).map(|trunk| trunk.notes()).unwrap_or_default();
        notes.iter().for_each(|note| println!("    note: {note}"));
    }
    for number in &config.numbers {
        let answers = if number.answer.is_some() { "answers calls" } else { "is a caller ID only" };
        println!("  number     {} of {} {answers}", number.number, number.tenant);
    }
    for user in &config.users {
        println!("  user       {} of {} may register", user.name, user.tenant);
    }
    config.notes.iter().for_each(|note| println!("  note: {note}"));
    if args.probe { report(&probe(&config).await?) } else { Ok(()) }
}

/// What trunks were found to be, a line each.
fn report(found: &[Found]) -> Outcome {
    for Found { trunk, good, said } in found {
        println!("  probe      {trunk} {}", if *good { "answers" } else { "does not answer as it should" });
        said.iter().for_each(|line| println!("    {line}"));
    }
    let bad: Vec<&str> = found.iter().filter(|found| !found.good).map(|found| found.trunk.as_str()).collect();
    if bad.is_empty() { Ok(()) } else { Err(format!("no calls can be expected to go over {}", bad.join(", ")).into()) }
}

/// Prompts that a number names and that are neither built in nor in the folder.
fn missing_prompts(config: &Config) -> Vec<String> {
    let there = |name: &str| {
        let in_folder = |dir: &std::path::PathBuf| {
            ["wav", "mp3", "flac", "ogg"].iter().any(|ending| dir.join(format!("{name}.{ending}")).is_file())
        };
        SOUNDS.iter().any(|(known, _)| *known == name) || config.prompts_dir.as_ref().is_some_and(in_folder)
    };
    let mut missing = Vec::new();
    for number in &config.numbers {
        let named = number.answer.as_ref().map(ivr::Answer::prompts).unwrap_or_default();
        for name in named.into_iter().filter(|name| !there(name)) {
            missing.push(format!(
                "[[number]] {}: there is no prompt \"{name}\": put {name}.wav into prompts.dir, or name a built-in one",
                number.number
            ));
        }
    }
    missing
}

/// A database URL as it may be shown.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    match rest.split_once('@') {
        Some((user, host)) => format!("{scheme}://{}:***@{host}", user.split(':').next().unwrap_or_default()),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_password_is_not_shown() {
        assert_eq!(without_password("postgres://u:secret@h/d"), "postgres://u:***@h/d");
        assert_eq!(without_password("sqlite://tandem.db"), "sqlite://tandem.db");
    }
}
