//! `tandem backup` and `tandem restore`: what a switch keeps, copied and put back.

use super::{Outcome, load};
use crate::config::Config;
use api::backup::Places;
use std::path::Path;

fn places(config: &Config) -> Places {
    Places {
        database: config.database_url.clone(),
        journal: config.journal_dir.clone(),
        key_file: config.key_file.clone(),
    }
}

/// Copies everything into the new folder `to`.
pub async fn backup(config: &Path, to: &Path) -> Outcome {
    let config = load(config)?;
    places(&config).back_up(to).await?;
    println!("The journal, the database and the key file are in {}.", to.display());
    println!("The sounds of recordings lie in {}; copy them beside it.", config.recordings.dir.display());
    Ok(())
}

/// Puts a backup back, where there is nothing yet.
pub fn restore(config: &Path, from: &Path) -> Outcome {
    let config = load(config)?;
    places(&config).restore(from)?;
    println!("Calls that were live when the backup was taken end as interrupted at the next start.");
    Ok(())
}
