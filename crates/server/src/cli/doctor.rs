//! `forewatt doctor`: is the store well, and what to do where it is not.

use forewatt_service::doctor::{Finding, Weight, examine};

use super::context::Context;
use crate::table::Table;

const EXAMPLES: &str = "\
Examples:
  forewatt doctor
  forewatt doctor --all --config production.toml
  forewatt doctor --json | jq '.[] | select(.weight == \"bad\")'

Looks at the store that the configuration names and changes nothing. Of PostgreSQL: settings against those of \
deploy/postgres/postgresql.conf, schema and indexes, partitions, dead rows, long transactions, waits, connections \
against the pool, replicas. Of SQLite: integrity of every page, schema, sizes, artifacts. Ends with 1 when something \
is bad, with 0 else.";

/// Flags of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Also show what is good
    #[arg(long)]
    all: bool,
}

/// Looks and tells.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<()> {
    let store = &context.config().store;
    let options = store.options(&store.url);
    let findings = context.block_on(async { Ok(examine(&store.data_dir, &options).await?) })?;
    if context.out.json {
        context.out.document(&findings)?;
    } else {
        context.out.text(&text(&findings, args.all))?;
    }
    match count(&findings, Weight::Bad) {
        0 => Ok(()),
        bad => Err(anyhow::anyhow!("{bad} finding(s) put data or service at risk")),
    }
}

fn count(findings: &[Finding], weight: Weight) -> usize {
    findings.iter().filter(|finding| finding.weight == weight).count()
}

fn text(findings: &[Finding], all: bool) -> String {
    let mut shown: Vec<&Finding> =
        findings.iter().filter(|finding| all || finding.weight > Weight::Good).collect();
    shown.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    let mut table = Table::new(&["", "check", "found", "what to do"]);
    for finding in &shown {
        let Finding { weight, check, found, mend } = finding;
        table.row([weight.to_string(), check.clone(), found.clone(), mend.clone()]);
    }
    let summary = format!(
        "{} good, {} to note, {} bad",
        count(findings, Weight::Good),
        count(findings, Weight::Note),
        count(findings, Weight::Bad)
    );
    if shown.is_empty() { summary } else { format!("{}\n{summary}", table.render()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_stands_first_and_the_good_only_when_asked_for() {
        let finding = |weight, check: &str| Finding {
            weight,
            check: check.to_owned(),
            found: "so".to_owned(),
            mend: String::new(),
        };
        let findings = [finding(Weight::Good, "a"), finding(Weight::Note, "b"), finding(Weight::Bad, "c")];
        let lines = |all| text(&findings, all).lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
        let few = lines(false);
        assert!(few[1].starts_with("bad") && few[2].starts_with("note"), "{few:?}");
        assert_eq!(few.last().unwrap(), "1 good, 1 to note, 1 bad");
        assert_eq!(lines(true).len(), few.len() + 1);
        assert_eq!(text(&findings[..1], false), "1 good, 0 to note, 0 bad");
    }
}
