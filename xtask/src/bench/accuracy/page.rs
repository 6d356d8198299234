//! The page of the accuracy benchmark: a table a task, the goals, and where we lose.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::cache::{ModelResult, Summary, TaskResult};
use super::metrics::Metrics;
use super::task::{Bound, Column, Goal, Task};
use super::tasks::tried;

/// More parts than this are not shown one by one.
const PARTS_MAX: usize = 10;

/// What the page is made of.
pub struct Content<'a> {
    /// Processor, memory, system, compiler.
    pub machine: &'a str,
    /// What the executable calls itself.
    pub version: &'a str,
    /// The hash of the executable; results of others are marked.
    pub executable: &'a str,
    /// A small part of every task was run.
    pub quick: bool,
    /// Tasks with what is known of them.
    pub tasks: Vec<(&'a Task, TaskResult)>,
}

/// The page's text.
pub fn render(content: &Content<'_>) -> String {
    let mut text = head(content);
    for (task, result) in &content.tasks {
        section(&mut text, task, result, content.executable);
    }
    push(&mut text, &goals(content));
    text
}

/// Writing to a String cannot fail; a line at a time reads better than `write!` everywhere.
fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn head(content: &Content<'_>) -> String {
    let mut text = String::from("# accuracy\n\n");
    if content.quick {
        push(
            &mut text,
            "**A quick run on a small part of every task: it tries the harness and compares nothing.**\n",
        );
    }
    push(
        &mut text,
        "Forecasts of the real executable on public data, beside naive, official and published forecasts. \
         [README.md](README.md) says how to repeat it and how the figures are made.\n",
    );
    let _infallible = writeln!(
        text,
        "Machine: {}\n\nExecutable: {}, SHA-256 begins {}. A result marked `*` was made by another build.\n\n\
         Made by `cargo xtask bench accuracy`; one task: `cargo xtask bench accuracy TASK`.\n",
        content.machine,
        content.version,
        content.executable.get(..12).unwrap_or_default()
    );
    text
}

fn section(text: &mut String, task: &Task, result: &TaskResult, executable: &str) {
    let _infallible = writeln!(text, "## {}: {}\n\n{}\n", task.name, task.title, task.about);
    if result.models.is_empty() && result.failures.is_empty() {
        push(text, "Not run.\n");
        return;
    }
    table(text, task, result, executable);
    if result.anchors.iter().map(|(_, anchor)| anchor).any(has_parts) {
        parts_table(text, task, result);
    }
    for (model, why) in &result.failures {
        let _infallible = writeln!(text, "`{model}` could not be measured: {why}\n");
    }
    let _infallible = writeln!(
        text,
        "Repeat: `cargo xtask bench accuracy {}`, which runs\n\n```sh\n{}\n```\n",
        task.name, result.command
    );
}

fn has_parts(summary: &Summary) -> bool {
    (2..=PARTS_MAX).contains(&summary.parts.len())
}

fn table(text: &mut String, task: &Task, result: &TaskResult, executable: &str) {
    let published = task.published.iter().map(|published| {
        let scores = published.scores.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect();
        (format!("{} (published)", published.name), scores, [String::new(), String::new(), String::new()])
    });
    let anchors = result
        .anchors
        .iter()
        .map(|(name, anchor)| (name.clone(), anchor.metrics.clone(), Default::default()));
    let models = in_order(task, result).map(|(model, found)| {
        let mark = if found.executable == executable { "" } else { " *" };
        let met = met(task, result, model, &found.summary.metrics).to_owned();
        let costs = [met, format!("{:.1}", found.wall_s), format!("{:.0}", found.peak_mib)];
        (format!("**{model}**{mark}"), found.summary.metrics.clone(), costs)
    });
    let rows: Vec<(String, Metrics, [String; 3])> = anchors.chain(published).chain(models).collect();
    // A score that no forecast has (there is no official one) would be an empty column.
    let scored = |column: &&Column| rows.iter().any(|(_, scores, _)| scores.contains_key(column.key));
    let columns: Vec<&Column> = task.columns.iter().filter(scored).collect();
    let keys: Vec<&str> = columns.iter().map(|column| column.key).collect();
    let _infallible = writeln!(text, "| forecast | {} | goal met | wall s | peak MiB |", keys.join(" | "));
    push(text, &format!("|---|{}---|---:|---:|", "---:|".repeat(keys.len())));
    for (name, scores, rest) in &rows {
        let cells: Vec<String> = columns.iter().map(|column| cell(column, scores)).collect();
        let _infallible = writeln!(text, "| {name} | {} | {} |", cells.join(" | "), rest.join(" | "));
    }
    text.push('\n');
}

/// A score in its column's digits; one too small for them is not zero.
fn cell(column: &Column, scores: &Metrics) -> String {
    let digits = column.digits;
    let smallest = 10_f64.powi(-i32::try_from(digits).unwrap_or(0));
    match scores.get(column.key) {
        None => String::new(),
        Some(value) if *value > 0.0 && *value < smallest / 2.0 => format!("< {smallest:.digits$}"),
        Some(value) => format!("{value:.digits$}"),
    }
}

/// The main score of each part.
fn parts_table(text: &mut String, task: &Task, result: &TaskResult) {
    let Some(main) = task.columns.first() else { return };
    let anchors = result.anchors.iter().map(|(name, anchor)| (name.clone(), anchor));
    let models = in_order(task, result).map(|(model, found)| (format!("**{model}**"), &found.summary));
    let rows: Vec<(String, &Summary)> = anchors.chain(models).collect();
    let Some((_, first)) = rows.first() else { return };
    let names: Vec<&str> = first.parts.iter().map(|(name, _)| name.as_str()).collect();
    let _infallible = writeln!(text, "| {} by part | {} |", main.key, names.join(" | "));
    push(text, &format!("|---|{}", "---:|".repeat(names.len())));
    for (name, summary) in rows {
        let by_part: BTreeMap<&str, &Metrics> = summary.parts.iter().map(|(n, m)| (n.as_str(), m)).collect();
        let cell = |part| by_part.get(part).map_or_else(String::new, |scores| cell(main, scores));
        let _infallible =
            writeln!(text, "| {name} | {} |", names.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
    text.push('\n');
}

fn in_order<'a>(
    task: &'a Task,
    result: &'a TaskResult,
) -> impl Iterator<Item = (&'static str, &'a ModelResult)> {
    task.models.iter().filter_map(|model| Some((*model, result.models.get(*model)?)))
}

/// The figure of a goal; none where the forecast it names was not scored.
fn bound(task: &Task, result: &TaskResult, goal: &Goal) -> Option<f64> {
    match goal.bound {
        Bound::AtMost(value) | Bound::Below(value) => Some(value),
        Bound::Times(factor, name) => {
            let scored = result.anchors.iter().find(|(anchor, _)| anchor == name);
            let scored = scored.and_then(|(_, anchor)| anchor.metrics.get(goal.key).copied());
            let published = || task.published.iter().find(|published| published.name == name);
            let published = || published()?.scores.iter().find(|(key, _)| *key == goal.key).map(|(_, v)| *v);
            Some(factor * scored.or_else(published)?)
        }
    }
}

/// Whether a score reaches a goal; none when it is not known.
fn reaches(task: &Task, result: &TaskResult, goal: &Goal, scores: &Metrics) -> Option<bool> {
    let (score, bound) = (*scores.get(goal.key)?, bound(task, result, goal)?);
    Some(if matches!(goal.bound, Bound::Below(_)) { score < bound } else { score <= bound })
}

/// Whether a model reaches all goals that are set for it or for every model.
fn met(task: &Task, result: &TaskResult, model: &str, scores: &Metrics) -> &'static str {
    let for_it = task.goals.iter().filter(|goal| goal.model.is_none_or(|name| name == model));
    let reached: Vec<Option<bool>> = for_it.map(|goal| reaches(task, result, goal, scores)).collect();
    match () {
        () if reached.is_empty() => "",
        () if reached.iter().all(|r| *r == Some(true)) => "yes",
        () if reached.contains(&Some(false)) => "no",
        () => "?",
    }
}

/// The goals by outcome.
fn goals(content: &Content<'_>) -> String {
    let (mut lost, mut won, mut open) = (Vec::new(), Vec::new(), Vec::new());
    for (task, result) in &content.tasks {
        for goal in task.goals {
            let (outcome, line) = judged(task, result, goal);
            match outcome {
                Some(true) => won.push(line),
                Some(false) => lost
                    .push(tried(task.name).map_or(line.clone(), |tried| format!("{line}. Tried: {tried}"))),
                None => open.push(line),
            }
        }
    }
    let mut text = String::from(
        "## Goals\n\nEach goal against the model it is set for, else against our best of those in the task's table.\n\n",
    );
    for (heading, lines) in [("Where we win", won), ("Not measured", open), ("Where we lose", lost)] {
        let body = if lines.is_empty() { "Nowhere.".to_owned() } else { lines.join("\n") };
        let body = if lines.is_empty() && heading == "Not measured" { "Nothing.".to_owned() } else { body };
        let _infallible = writeln!(text, "### {heading}\n\n{body}\n");
    }
    text.trim_end().to_owned()
}

/// The outcome of a goal and a line about it.
fn judged(task: &Task, result: &TaskResult, goal: &Goal) -> (Option<bool>, String) {
    let candidates = in_order(task, result).filter(|(model, _)| goal.model.is_none_or(|name| name == *model));
    let scored = candidates.filter_map(|(model, found)| {
        Some((model, &found.summary.metrics, *found.summary.metrics.get(goal.key)?))
    });
    let best = scored.min_by(|a, b| a.2.total_cmp(&b.2));
    let (Some((model, scores, score)), Some(bound)) = (best, bound(task, result, goal)) else {
        let who = goal.model.unwrap_or("every model");
        return (None, format!("- {}: {} of `{who}` against {}", task.name, goal.key, goal.why));
    };
    let digits = task.columns.iter().find(|column| column.key == goal.key).map_or(3, |column| column.digits);
    let outcome = reaches(task, result, goal, scores);
    let gap = 100.0 * (score / bound - 1.0);
    let line = format!(
        "- {}: {} {score:.digits$} (`{model}`) against {bound:.digits$} ({}): {gap:+.1} %",
        task.name, goal.key, goal.why
    );
    (outcome, line)
}

#[cfg(test)]
mod tests {
    use super::super::metrics::named;
    use super::super::task::{Kind, column, goal, published};
    use super::*;

    const TASK: Task = Task {
        name: "t",
        runs: "t",
        title: "A task",
        about: "About it.",
        models: &["good", "bad", "absent"],
        columns: &[column("MAE", 2), column("p", 2), column("nobody's", 2)],
        published: &[published("theirs", &[("MAE", 2.0)])],
        goals: &[
            goal("MAE", Bound::Below(1.5), "a figure"),
            Goal { model: Some("bad"), ..goal("MAE", Bound::Times(1.1, "theirs"), "theirs and a tenth") },
            Goal { model: Some("absent"), ..goal("MAE", Bound::AtMost(1.0), "one") },
            goal("MAE", Bound::Times(2.0, "naive"), "twice the naive"),
        ],
        optional: false,
        at_once: 1,
        kind: Kind::M4,
    };

    fn summary(value: f64) -> Summary {
        let parts = ["a", "b"].map(|name| (name.to_owned(), named(&[("MAE", value)])));
        Summary { metrics: named(&[("MAE", value), ("p", 1e-3)]), parts: parts.to_vec() }
    }

    fn result() -> TaskResult {
        let model = |value: f64, executable: &str| ModelResult {
            summary: summary(value),
            wall_s: 1.25,
            peak_mib: 10.0,
            executable: executable.to_owned(),
        };
        TaskResult {
            command: "forewatt backtest".to_owned(),
            anchors: vec![("naive".to_owned(), summary(4.0))],
            models: [("good", model(1.4, "e")), ("bad", model(3.0, "old"))]
                .map(|(name, model)| (name.to_owned(), model))
                .into(),
            ..TaskResult::default()
        }
    }

    fn page(result: TaskResult) -> String {
        render(&Content {
            machine: "a box",
            version: "forewatt 1",
            executable: "e",
            quick: false,
            tasks: vec![(&TASK, result)],
        })
    }

    #[test]
    fn rows_tell_scores_goals_costs_and_other_builds() {
        let text = page(result());
        for line in [
            "| forecast | MAE | p | goal met | wall s | peak MiB |",
            "| naive | 4.00 | < 0.01 |  |  |  |",
            "| theirs (published) | 2.00 |  |  |  |  |",
            "| **good** | 1.40 | < 0.01 | yes | 1.2 | 10 |",
            "| **bad** * | 3.00 | < 0.01 | no | 1.2 | 10 |",
            "| MAE by part | a | b |",
            "| **bad** | 3.00 | 3.00 |",
            "Repeat: `cargo xtask bench accuracy t`",
        ] {
            assert!(text.contains(line), "{line}\nis not in\n{text}");
        }
    }

    #[test]
    fn goals_are_won_lost_or_open() {
        let text = page(result());
        let at = |heading: &str| text.find(heading).unwrap();
        let (win, open, lose) = (at("## Where we win"), at("## Not measured"), at("## Where we lose"));
        assert!(text[win..open].contains("- t: MAE 1.40 (`good`) against 1.50 (a figure): -6.7 %"), "{text}");
        assert!(text[win..open].contains("against 8.00 (twice the naive): -82.5 %"), "{text}");
        assert!(text[open..lose].contains("- t: MAE of `absent` against one"), "{text}");
        assert!(
            text[lose..].contains("- t: MAE 3.00 (`bad`) against 2.20 (theirs and a tenth): +36.4 %"),
            "{text}"
        );
        assert_eq!(text[lose..].matches("- t").count(), 1, "{text}");
    }

    #[test]
    fn what_was_not_run_says_so() {
        let text = page(TaskResult::default());
        assert!(text.contains("Not run.") && text.contains("of `every model` against a figure"), "{text}");
        let failures = BTreeMap::from([("good".to_owned(), "too large".to_owned())]);
        let text = page(TaskResult { failures, ..TaskResult::default() });
        assert!(text.contains("`good` could not be measured: too large"), "{text}");
    }
}
