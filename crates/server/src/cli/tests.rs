//! The command line as a contract: every command parses, every help text is seen in review.

use clap::{CommandFactory, Parser};

use super::{Cli, exit};

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("forewatt").chain(line.split_whitespace()))
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_parses() {
    for line in [
        "serve",
        "serve --listen 127.0.0.1:0 --data-dir d --json",
        "demo --data-dir d --listen 127.0.0.1:0",
        "import f.csv --series a --time t --value v --time-zone Europe/Madrid --dry-run",
        "import f.csv --time t --columns a=b,c=d --labels end --ambiguous later --decimal comma --delimiter ;",
        "import f.csv --series a --time t --value v --available-at issued --kind load --unit MW",
        "import f.csv --series a --time t --value v --available-after 6h --location -37.8,144.9 --holidays AU-VIC",
        "import f.csv --series a --time t --value v --only region=VIC --only kind=x --resolution PT30M",
        "series list --json",
        "series show a",
        "series set a --kind solar --unit kW --resolution 15min --time-zone UTC --location -1,2 --parent b",
        "series check a",
        "train a --model linear --horizon 24h --quantiles 0.1,0.9 --known-ahead b,c --past-only d --seed 3",
        "train a --model auto --budget 10m",
        "train a --alone --no-promote --training-days 100 --backtest-days 14",
        "forecast a --horizon PT48H --quantiles 0.1,0.5,0.9 --as-of 2026-01-01 --start 2026-01-01T00:00Z",
        "forecast a --threshold -3.5 --version-id a-v1 --output o.csv --no-plot",
        "explain a --horizon 24h --as-of 2026-01-02 --start 2026-01-02 --since previous --features 9 --version-id a-v1",
        "explain a --since 2026-01-01T06:00",
        "whatif a --add t=+2 --scale t=1.1 --add w=-3 --from 2026-01-01 --to 2026-01-02 --quantiles 0.1,0.9",
        "reconcile a --method wls --horizon 24h --quantiles 0.1,0.9 --as-of 2026-01-01 --start 2026-01-01 --json",
        "backtest --series a --from 2017-01-01 --to 2018-01-01 --model gbdt --refit 7d",
        "backtest --series a --from 2017-01-01 --to 2018-01-01 --model auto --budget PT10M",
        "backtest --series a --from 2017-01-01 --to 2018-01-01 --peaks 0.95",
        "backtest --series a --from 2017-01-01 --to 2018-01-01 --threshold -3.5",
        "backtest --file f.csv --time t --time-zone UTC --target y --known-ahead a,b --past-only c --from 2017-01-01 \
         --to 2018-01-01 --every 24h --horizon 24h --refit never --model seasonal-naive --quantiles 0.1,0.5,0.9 --output o.csv",
        "compare a.csv b.csv --lead 24h --from 2024-01-01 --to 2024-02-01T12:00 --time-zone Europe/Oslo",
        "compare a-v1 series:b --of a --json",
        "compare a.csv --file t.csv --time t --time-zone UTC --value v --actual y --labels end --decimal comma",
        "compare --file t.csv --time t --value v --value w --time-format %Y --ambiguous later --delimiter ;",
        "models list --series a",
        "models show a-v1",
        "models promote a-v1",
        "models optimize a-v1 --quantize --prune --max-loss 0.5% --days 30",
        "models promote a-v1 --force --reason because",
        "keys create gateway --scope read --scope write --series city.* --days 90",
        "keys rotate 3f9c0a1b2d4e --overlap-hours 2 --days 90",
        "keys revoke 3f9c0a1b2d4e",
        "keys list --json",
        "audit --since 2026-01-01T00:00:00Z --limit 5",
        "jobs list --limit 3",
        "jobs show 0198",
        "sources list",
        "sources add a --kind open-meteo --url https://h/ --series t=b --series w=c --every 1h --past-hours 2",
        "sources add a --kind entsoe --url https://h/ --series price=b --every 1h --token-env FOREWATT_SOURCE_X",
        "sources run a --json",
        "sources remove a",
        "webhooks list",
        "webhooks add https://h/ --event model.trained --event forecast.ready --series a",
        "webhooks remove 0198",
        "webhooks dead --limit 3",
        "webhooks replay 0198",
        "backup d",
        "restore d --json",
        "config check --config f.toml",
        "config print -v --no-color",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_the_mend() {
    for (line, mend) in [
        ("tain a", "train"),
        ("train a --modle gbdt", "--model"),
        ("train a --model gbtd", "gbdt"),
        ("train a --alone --known-ahead b", "--known-ahead"),
        ("forecast a --quantiles 0.9,0.1", "rise"),
        ("forecast a --horizon soon", "48h"),
        ("forecast a --threshold nan", "finite"),
        ("explain a --since soon", "previous"),
        ("explain a --features 0", "1..=50"),
        ("whatif a", "--add"),
        ("whatif a --add t", "NAME=NUMBER"),
        ("whatif a --scale t=inf", "finite"),
        ("reconcile a --method mnit", "mint"),
        ("import f.csv --time t", "--series"),
        ("import f.csv --series a --time t", "--value"),
        ("import f.csv --series a --time t --value v --time-zone Mars", "Europe/Madrid"),
        ("import f.csv --series a --time t --value v --kind laod", "load"),
        ("import f.csv --series a/b --time t --value v", "letter or digit"),
        ("import f.csv --time t --columns a", "COLUMN=SERIES"),
        ("import f.csv --series a --time t --value v --location 91,0", "latitude"),
        ("backtest --series a --from x --to 2018-01-01", "RFC 3339"),
        ("backtest --from 2017-01-01 --to 2018-01-01", "--series"),
        ("backtest --series a --file f --time t --target y --from 2017-01-01 --to 2018-01-01", "--file"),
        ("backtest --file f --from 2017-01-01 --to 2018-01-01", "--target"),
        ("backtest --series a --from 2017-01-01 --to 2018-01-01 --peaks 95", "0.95"),
        ("backtest --series a --from 2017-01-01 --to 2018-01-01 --peaks 0.9 --threshold 3", "--threshold"),
        ("compare a b c", "no more were expected"),
        ("compare a --file t.csv --value v", "--time"),
        ("compare a --value v", "--file"),
        ("compare a b --lead soon", "48h"),
        ("models promote a-v1 --force", "--reason"),
        ("config print -v -q", "--quiet"),
    ] {
        let error = parse(line).expect_err(line).to_string();
        assert!(error.contains(mend), "{line}: {error}");
    }
}

#[test]
fn the_exit_codes_are_told() {
    assert!(Cli::command().render_long_help().to_string().contains(exit::HELP));
}

#[test]
fn help_texts_are_a_contract() {
    let mut text = String::new();
    help(&Cli::command().term_width(100), "", &mut text);
    insta::assert_snapshot!(text);
}

/// The long help of a command and of all below it.
fn help(command: &clap::Command, above: &str, text: &mut String) {
    let path = format!("{above}{} ", command.get_name());
    let mut shown = command.clone().bin_name(path.trim());
    let long = shown.render_long_help();
    text.push_str(&format!("===== {}\n{}\n", path.trim(), long.to_string().trim_end()));
    for sub in command.get_subcommands() {
        help(&sub.clone().term_width(100), &path, text);
    }
}

#[test]
fn every_command_has_examples() {
    fn check(command: &clap::Command) {
        let subcommands: Vec<_> = command.get_subcommands().collect();
        if subcommands.is_empty() {
            let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:\n  "), "`{}` has no examples", command.get_name());
            assert!(command.get_about().is_some(), "`{}` says nothing about itself", command.get_name());
        }
        subcommands.into_iter().for_each(check);
    }
    check(&Cli::command());
}
