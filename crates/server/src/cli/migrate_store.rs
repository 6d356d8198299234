//! `forewatt migrate-store`: a whole store from SQLite into PostgreSQL, or back.

use std::path::{Path, PathBuf};

use forewatt_service::migrate::{Migrated, migrate_store};

use super::context::Context;
use super::exit;
use crate::table::{Table, count};

const EXAMPLES: &str = "\
Examples:
  forewatt migrate-store --from forewatt-data --to postgres://forewatt@db/forewatt
  forewatt migrate-store --from postgres://forewatt@db/forewatt --to sqlite:copy

A store is postgres://USER@HOST/DATABASE, or sqlite:FOLDER or just the folder. Artifacts of a PostgreSQL store lie in \
the data folder (--data-dir). Passwords belong in PGPASSWORD or ~/.pgpass, not on the command line. Stop every server \
and import on both stores first. Broken off, the same command goes on where it stopped; at the end every series was \
compared by checksum. Of quality checks the newest is moved, of jobs those that ended.";

/// Flags of `migrate-store`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// The store to read
    #[arg(long, value_name = "STORE")]
    from: String,
    /// The store to write, created when missing
    #[arg(long, value_name = "STORE")]
    to: String,
}

/// A store as the command line names it.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Sqlite(PathBuf),
    Postgres(String),
}

/// Moves the store and tells what was moved.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<()> {
    let (from, to) = (place(&args.from), place(&args.to));
    if from == to {
        return Err(exit::usage("--from and --to are the same store"));
    }
    if let Place::Sqlite(folder) = &from
        && !folder.is_dir()
    {
        return Err(exit::not_found(format!("there is no folder {}", folder.display())));
    }
    let mut store = context.config().store.clone();
    // Of the other's: a replica of the configured store is none of these.
    store.read_url.clear();
    store.min_connections = 0;
    let open = |place: &Place| match place {
        Place::Sqlite(folder) => (folder.clone(), store.options("")),
        Place::Postgres(url) => (store.data_dir.clone(), store.options(url)),
    };
    let (from, to) = (open(&from), open(&to));
    let bar = context.out.work_bar();
    let progress = |done: usize, all: usize, series: &_| {
        bar.set_position((done * 1_000 / all.max(1)) as u64);
        bar.set_message(format!("{series}"));
    };
    let moved = context.block_on(async {
        Ok(migrate_store((Path::new(&from.0), &from.1), (Path::new(&to.0), &to.1), progress).await?)
    });
    bar.finish_and_clear();
    let moved = moved?;
    if context.out.json {
        return context.out.document(&moved);
    }
    Ok(context.out.text(&table(&moved))?)
}

fn place(text: &str) -> Place {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Place::Postgres(text.to_owned());
    }
    let folder = text.strip_prefix("sqlite:").unwrap_or(text);
    Place::Sqlite(PathBuf::from(folder))
}

fn table(moved: &Migrated) -> String {
    let mut table = Table::new(&["series", ">observations", ">forecasts", "sha256", ""]);
    for series in &moved.series {
        table.row([
            series.series.to_string(),
            count(series.observations),
            count(series.forecasts),
            series.sha256.chars().take(12).collect(),
            if series.was_there { "was there" } else { "" }.to_owned(),
        ]);
    }
    format!(
        "{}\n{} series, {} model versions and {} jobs moved; every series has the same checksum in both stores.",
        table.render(),
        moved.series.len(),
        moved.versions,
        moved.jobs
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_told_apart() {
        assert_eq!(place("sqlite:a/b"), Place::Sqlite("a/b".into()));
        assert_eq!(place("a/b"), place("sqlite:a/b"));
        assert_eq!(place("postgres://x@y/z"), Place::Postgres("postgres://x@y/z".to_owned()));
    }
}
