// The two charts, drawn by the plotly this server carries. The x axis is UTC milliseconds; labels are local.

import { figure } from "./time.js";

let loading = null;

/** Loads plotly once, when the first chart is wanted. */
function plotly() {
  loading ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = "/assets/plotly.min.js";
    script.onload = () => done(window.Plotly);
    script.onerror = () => { loading = null; failed(new Error("The chart library could not be loaded from this server.")); };
    document.head.append(script);
  });
  return loading;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const faded = (name, share) => `rgba(${colour(name)}, ${share})`;

/** How many labels fit under a chart; each takes about 80 px. */
const labelsThatFit = (width) => Math.max(2, Math.round((width - 60) / 80));

/** Pairs of levels around the middle, outermost first: [["0.1","0.9"], ["0.2","0.8"], ...]. */
export function bands(levels) {
  const sorted = [...levels].sort((a, b) => Number(a) - Number(b));
  const pairs = [];
  for (let i = 0, j = sorted.length - 1; i < j; i++, j--) pairs.push([sorted[i], sorted[j]]);
  return pairs;
}

/** The share a pair of levels covers, in percent. */
export const cover = ([low, high]) => Math.round((Number(high) - Number(low)) * 100);

/** Traces of a forecast: bands from wide to narrow, then the expected value. `points` have `ms`, `mean`, `quantiles`. */
function fan(points, local, unit, name) {
  const pairs = points.length > 0 ? bands(Object.keys(points[0].quantiles)) : [];
  const times = points.map((p) => p.ms);
  const filled = pairs.map(([low, high]) => ({
    type: "scatter", mode: "lines", line: { width: 0 }, fill: "toself", hoverinfo: "skip", showlegend: false,
    fillcolor: faded("--band", Math.max(0.12, 0.42 / pairs.length)),
    x: [...times, ...times.toReversed()],
    y: [...points.map((p) => p.quantiles[high]), ...points.map((p) => p.quantiles[low]).toReversed()],
  }));
  const widest = pairs[0];
  const range = (p) => (widest ? `<br>${cover(widest)} %: ${figure(p.quantiles[widest[0]])} to ${figure(p.quantiles[widest[1]])} ${unit}` : "");
  const chance = (p) => (p.probability_above === undefined ? "" : `<br>chance above: ${Math.round(p.probability_above * 100)} %`);
  const line = {
    type: "scatter", mode: "lines", line: { color: colour("--accent"), width: 2.5 }, name, showlegend: false,
    x: times, y: points.map((p) => p.mean),
    text: points.map((p) => `${local.moment.format(p.ms)}<br><b>${figure(p.mean)} ${unit}</b> expected${range(p)}${chance(p)}`),
    hovertemplate: "%{text}<extra></extra>",
  };
  return [...filled, line];
}

/** The line of what was measured; a gap in the data is a gap in the line. */
function actual(observations, step, local, unit) {
  const x = [];
  const y = [];
  const text = [];
  for (const o of observations) {
    if (x.length > 0 && o.ms - x.at(-1) > step * 1.5) { x.push(x.at(-1) + step); y.push(null); text.push(""); }
    x.push(o.ms);
    y.push(o.value);
    text.push(`${local.moment.format(o.ms)}<br><b>${figure(o.value)} ${unit}</b> measured`);
  }
  return { type: "scatter", mode: "lines", line: { color: colour("--actual"), width: 1.6 }, x, y, text, showlegend: false, hovertemplate: "%{text}<extra></extra>" };
}

function layout(from, to, unit, local, width) {
  const ticks = local.ticks(from, to, labelsThatFit(width));
  const grid = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--line"), fixedrange: false };
  return {
    margin: { l: 8, r: 8, t: 12, b: 8 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("--muted"), family: "system-ui, sans-serif", size: 12 },
    hovermode: "x", hoverlabel: { align: "left", bgcolor: colour("--card"), bordercolor: colour("--accent"), font: { color: colour("--ink"), size: 13 } },
    dragmode: width < 500 ? false : "zoom",
    showlegend: false,
    xaxis: { ...grid, range: [from, to], tickvals: ticks.values, ticktext: ticks.texts, tickangle: 0, automargin: true, zeroline: false },
    yaxis: { ...grid, fixedrange: true, automargin: true, title: { text: unit, standoff: 6 }, separatethousands: true, rangemode: "normal" },
    shapes: [], annotations: [],
  };
}

function shadeHolidays(plan, holidays, from, to) {
  for (const day of holidays) {
    const start = Math.max(day.startMs, from);
    const end = Math.min(day.endMs, to);
    if (end <= start) continue;
    const fillcolor = faded("--holiday", day.kind === "holiday" ? 0.2 : 0.09);
    plan.shapes.push({ type: "rect", xref: "x", yref: "paper", x0: start, x1: end, y0: 0, y1: 1, fillcolor, line: { width: 0 }, layer: "below" });
  }
}

async function draw(element, traces, plan, local) {
  const Plotly = await plotly();
  element.classList.remove("empty");
  if (!element.querySelector(".plot-container")) element.replaceChildren();
  const config = { responsive: true, displaylogo: false, displayModeBar: false };
  await Plotly.react(element, traces, plan, config);
  element.removeAllListeners?.("plotly_relayout");
  element.on("plotly_relayout", (change) => {
    const zoomed = change["xaxis.range[0]"] !== undefined || change["xaxis.autorange"] || change.autosize;
    if (!zoomed || element.dataset.ticking) return;
    const range = change["xaxis.autorange"] ? plan.xaxis.range : element.layout.xaxis.range;
    const ticks = local.ticks(range[0], range[1], labelsThatFit(element.clientWidth));
    element.dataset.ticking = "1";
    const after = { "xaxis.tickvals": ticks.values, "xaxis.ticktext": ticks.texts };
    if (change["xaxis.autorange"]) after["xaxis.range"] = [...plan.xaxis.range];
    Plotly.relayout(element, after).finally(() => { delete element.dataset.ticking; });
  });
}

/** History, then the fan of the forecast; holidays shaded, the start and the threshold marked. */
export function drawForecast(element, { history, points, holidays, start, step, threshold, unit, local }) {
  const from = history.length > 0 ? history[0].ms : start;
  const to = points.length > 0 ? points.at(-1).ms + step : (history.at(-1)?.ms ?? start) + step;
  const plan = layout(from, to, unit, local, element.clientWidth);
  shadeHolidays(plan, holidays, from, to);
  if (points.length > 0) {
    plan.shapes.push({ type: "line", xref: "x", yref: "paper", x0: start, x1: start, y0: 0, y1: 1, line: { color: colour("--muted"), width: 1, dash: "dash" } });
  }
  if (threshold !== null) {
    plan.shapes.push({ type: "line", xref: "paper", yref: "y", x0: 0, x1: 1, y0: threshold, y1: threshold, line: { color: colour("--alert-ink"), width: 1.5, dash: "dot" } });
  }
  return draw(element, [actual(history, step, local, unit), ...fan(points, local, unit, "forecast")], plan, local);
}

/** Past forecasts under what was measured then. `runs` are lists of points, one a forecast. */
export function drawPast(element, { runs, actuals, holidays, step, unit, local }) {
  const all = runs.flat();
  const from = Math.min(...all.map((p) => p.ms));
  const to = Math.max(...all.map((p) => p.ms)) + step;
  const plan = layout(from, to, unit, local, element.clientWidth);
  shadeHolidays(plan, holidays, from, to);
  const traces = runs.flatMap((points) => fan(points, local, unit, "forecast"));
  return draw(element, [...traces, actual(actuals, step, local, unit)], plan, local);
}

/** Says in words why there is no chart. */
export function sayEmpty(element, text) {
  if (window.Plotly && element.querySelector(".plot-container")) window.Plotly.purge(element);
  element.classList.add("empty");
  const p = document.createElement("p");
  p.className = "note";
  p.textContent = text;
  element.replaceChildren(p);
}
