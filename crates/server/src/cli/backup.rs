//! `forewatt backup` and `forewatt restore`: the whole store of SQLite into a folder, and back.

use std::path::PathBuf;

use forewatt_service::backup::{self, Backup};

use super::context::Context;
use super::exit;

const BACKUP_EXAMPLES: &str = "\
Examples:
  forewatt backup backups/2026-07-01
  forewatt --data-dir /var/lib/forewatt backup /mnt/backups/today

Servers may go on reading and writing: the copy is of one instant. It is checked before its folder appears; what a \
broken copy leaves is called FOLDER.partial. For PostgreSQL see docs/backup.md.";

const RESTORE_EXAMPLES: &str = "\
Examples:
  forewatt --data-dir restored restore backups/2026-07-01

The data folder must be empty or missing: move an old one away first, and stop its server. The backup stays as it is. \
Every artifact is checked, and forecasts come out byte for byte as before.";

/// Flags of `backup`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = BACKUP_EXAMPLES)]
pub struct BackupArgs {
    /// The folder to make
    #[arg(value_name = "FOLDER")]
    to: PathBuf,
}

/// Flags of `restore`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = RESTORE_EXAMPLES)]
pub struct RestoreArgs {
    /// The folder of the backup
    #[arg(value_name = "FOLDER")]
    from: PathBuf,
}

/// Copies the store and tells what was copied.
pub fn backup(context: &Context, args: &BackupArgs) -> anyhow::Result<()> {
    let store = &context.config().store;
    if store.url.trim().is_empty() && !store.data_dir.is_dir() {
        return Err(exit::not_found(format!("there is no data folder {}", store.data_dir.display())));
    }
    let done = context.with_service(async |service| Ok(service.backup(&args.to).await?))?;
    tell(context, &done, &format!("The store was copied to {}", args.to.display()))
}

/// Makes the store and tells what was copied.
pub fn restore(context: &Context, args: &RestoreArgs) -> anyhow::Result<()> {
    let store = &context.config().store;
    if !store.url.trim().is_empty() {
        return Err(exit::usage(backup::POSTGRES));
    }
    let done = context.block_on(async { Ok(backup::restore(&args.from, &store.data_dir).await?) })?;
    tell(context, &done, &format!("{} was made of {}", store.data_dir.display(), args.from.display()))
}

fn tell(context: &Context, done: &Backup, what: &str) -> anyhow::Result<()> {
    if context.out.json {
        return context.out.document(done);
    }
    let Backup { versions, artifact_bytes } = done;
    let text = format!("{what}, with {versions} model versions ({artifact_bytes} bytes), all checked.");
    Ok(context.out.text(&text)?)
}
