// Everything on the page that is text or a table.

import { bands, cover } from "./charts.js";
import { figure, percent } from "./time.js";

/** An element with text, a class and children. */
export function make(tag, text = "", className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}

/** A table: `head` are texts, `rows` lists of cells; a cell is a text or an element; the first names its row. */
export function table(caption, head, rows) {
  const element = make("table");
  element.append(make("caption", caption, "unseen"));
  const headRow = make("tr", "", "", ...head.map((text) => { const th = make("th", text); th.scope = "col"; return th; }));
  const body = rows.map(({ cells, className }) => {
    const [first, ...rest] = cells;
    const th = make("th", first);
    th.scope = "row";
    return make("tr", "", className ?? "", th, ...rest.map((cell) => (typeof cell === "string" ? make("td", cell) : cell)));
  });
  element.append(make("thead", "", "", headRow), make("tbody", "", "", ...body));
  return element;
}

const tile = (name, value, detail) => make("div", "", "", make("dt", name), make("dd", value, "", make("small", detail)));

/** The figures at the top. `p.forecast` and `p.accuracy` may be missing. */
export function tiles({ info, forecast, accuracy, quality, local, unit }) {
  const found = [];
  if (forecast) {
    const day = forecast.points.filter((p) => p.ms < forecast.points[0].ms + 24 * 3600e3);
    const peak = day.reduce((best, p) => (p.mean > best.mean ? p : best));
    const [widest] = bands(Object.keys(peak.quantiles));
    const range = widest ? `; ${cover(widest)} %: ${figure(peak.quantiles[widest[0]], 3)}–${figure(peak.quantiles[widest[1]], 3)}` : "";
    found.push(tile("Highest in 24 h", `${figure(peak.mean)} ${unit}`, `${local.moment.format(peak.ms)}${range}`));
    const skill = skillOf(accuracy);
    found.push(tile("Model", forecast.model_version, skill === null ? "champion" : `pinball loss ${percent(Math.abs(skill))} ${skill >= 0 ? "below" : "above"} seasonal-naive's`));
    found.push(tile("Forecast starts", local.moment.format(Date.parse(forecast.forecast_start)), `${local.zone}; data of the last week ${percent(forecast.quality)} complete`));
  }
  const last = info.state.last_valid_time;
  found.push(tile("Data", last ? `to ${local.date.format(Date.parse(last))}` : "none yet", `${info.state.observations.toLocaleString()} observations${info.state.first_valid_time ? ` from ${local.date.format(Date.parse(info.state.first_valid_time))}` : ""}`));
  if (quality) found.push(tile("Data quality", percent(quality.score), `${findingsOf(quality).length} finding${findingsOf(quality).length === 1 ? "" : "s"}`));
  return found;
}

/** How much less pinball loss (or MAE) than the seasonal-naive baseline, as a share; null when unknown. */
function skillOf(accuracy) {
  const champion = accuracy?.rows.find((row) => row.champion);
  const naive = accuracy?.rows.find((row) => row.model === "seasonal-naive" && !row.champion);
  const [a, b] = [champion?.metrics.pinball, naive?.metrics.pinball];
  return Number.isFinite(a) && b > 0 ? 1 - a / b : null;
}

const asShare = percent;
const asPercent = (value) => (Number.isFinite(value) ? `${figure(value, 3)} %` : "–");
const smaller = (a, b) => a < b;

/** The columns of the table, in order: what each shows and when one value is better than another. */
const COLUMNS = [
  ["mae", "MAE", figure, smaller], ["rmse", "RMSE", figure, smaller], ["mape", "MAPE", asPercent, smaller], ["smape", "sMAPE", asPercent, smaller],
  ["mase", "MASE", figure, smaller], ["rmae", "rMAE", figure, smaller], ["pinball", "Pinball", figure, smaller], ["crps", "CRPS", figure, smaller],
];

/** The columns there are values for; of the bands, only the widest is shown. */
function columnsOf(names) {
  const columns = COLUMNS.filter(([metric]) => names.has(metric));
  const widest = Math.max(...[...names].map((name) => Number(/^coverage_([\d.]+)$/.exec(name)?.[1] ?? 0)));
  if (widest > 0) {
    const miss = (value) => Math.abs(value - widest / 100);
    columns.push([`coverage_${widest}`, `In the ${widest} % band`, asShare, (a, b) => miss(a) < miss(b)], [`width_${widest}`, "Its width", figure, null]);
  }
  return columns;
}

/** The champion's row and the baselines', the best of each column in bold. */
export function accuracyTable(accuracy) {
  const columns = columnsOf(new Set(accuracy.rows.flatMap((row) => Object.keys(row.metrics))));
  const best = new Map();
  for (const [metric, , , better] of columns) {
    const values = accuracy.rows.map((row) => row.metrics[metric]).filter(Number.isFinite);
    if (better && values.length > 1) best.set(metric, values.reduce((a, b) => (better(b, a) ? b : a)));
  }
  const rows = accuracy.rows.map((row) => ({
    className: row.champion ? "champion" : "",
    cells: [row.champion ? `${row.model} (champion)` : row.model, ...columns.map(([metric, , write]) => {
      const value = row.metrics[metric];
      return make("td", write(value), best.get(metric) === value ? "best" : "");
    })],
  }));
  return table("Scores of the champion and the baselines", ["Model", ...columns.map(([, name]) => name)], rows);
}

/** The checker's findings, wherever its report keeps them. */
export function findingsOf(quality) {
  const report = quality.findings;
  return Array.isArray(report) ? report : (report?.findings ?? []);
}

const SEVERITIES = { critical: "high", error: "high", high: "high", severe: "high", warning: "medium", medium: "medium", info: "low", low: "low" };

/** One line a finding: what, how bad, when, and the evidence. */
export function findingsList(quality, local) {
  const shown = findingsOf(quality).slice(0, 50);
  const items = shown.map((finding) => {
    const what = String(finding.kind ?? finding.check ?? "finding").replaceAll("_", " ");
    const severity = String(finding.severity ?? "");
    const [from, to] = [finding.from ?? finding.start, finding.to ?? finding.end];
    const when = [from, to].filter(Boolean).map((time) => local.instant.format(Date.parse(time))).join(" to ");
    const evidence = String(finding.evidence ?? finding.detail ?? finding.message ?? "");
    const head = make("strong", what.charAt(0).toUpperCase() + what.slice(1));
    const item = make("li", "", SEVERITIES[severity] ?? "low", head);
    if (severity) item.append(` (${severity})`);
    if (when) item.append(make("div", when, "muted small"));
    if (evidence) item.append(make("div", evidence, "small"));
    return item;
  });
  return make("ul", "", "findings", ...items);
}

/** The forecast's figures as a table. */
export function forecastTable(points, unit, local) {
  const levels = points.length > 0 ? Object.keys(points[0].quantiles).sort((a, b) => Number(a) - Number(b)) : [];
  const chance = points[0]?.probability_above !== undefined;
  const head = ["Time", `Expected${unit ? ` (${unit})` : ""}`, ...levels.map((l) => `${figure(Number(l) * 100)} %`), ...(chance ? ["Chance above"] : [])];
  const rows = points.map((p) => ({
    cells: [local.moment.format(p.ms), figure(p.mean), ...levels.map((l) => figure(p.quantiles[l])), ...(chance ? [percent(p.probability_above)] : [])],
  }));
  return table("The forecast in figures", head, rows);
}

/** Answers "how likely is more than x" in a sentence. */
export function thresholdAnswer(points, threshold, unit, local) {
  const top = points.reduce((best, p) => (p.probability_above > best.probability_above ? p : best));
  const likely = points.filter((p) => p.probability_above > 0.5).length;
  return `Above ${figure(threshold)} ${unit}: most likely ${local.moment.format(top.ms)} (${percent(top.probability_above)}); more likely than not in ${likely} of ${points.length} steps.`;
}

/** The legend under a chart. */
export function legend(entries) {
  return entries.map(([className, text]) => make("span", "", "", make("i", "", className), text));
}
