// The page: choose a series, see what is expected of it, and how far to trust that.

import { Refused, allSeries, get, of, post } from "./api.js";
import { bands, cover, drawForecast, drawPast, sayEmpty } from "./charts.js";
import { accuracyTable, findingsList, findingsOf, forecastTable, legend, make, thresholdAnswer, tiles } from "./panels.js";
import { Picker } from "./picker.js";
import { DAY, HOUR, LocalTime, percent } from "./time.js";

const $ = (id) => document.getElementById(id);
const PAST_DAYS = 7;
const HORIZONS = [["24 h", 24 * HOUR], ["48 h", 48 * HOUR], ["7 d", 7 * DAY]];
const HISTORIES = [["2 d", 2], ["7 d", 7], ["28 d", 28]];

const state = { series: [], name: null, horizon: 48 * HOUR, history: 7, threshold: null, shown: null, stop: null };

const iso = (ms) => new Date(ms).toISOString().replace(".000Z", "Z");
const withMs = (rows) => rows.map((row) => ({ ...row, ms: Date.parse(row.valid_time) }));
const hours = (ms) => `PT${Math.round(ms / 60e3)}M`;

/** `PT15M`, `PT1H`, `PT24H` in milliseconds. */
function duration(text) {
  const found = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/.exec(text) ?? [];
  const [d, h, m, s] = [1, 2, 3, 4].map((i) => Number(found[i] ?? 0));
  return d * DAY + h * HOUR + m * 60e3 + s * 1e3 || HOUR;
}

function say(text, alert = false) {
  const box = $("message");
  box.hidden = !text;
  box.className = alert ? "note alert" : "note";
  box.textContent = text;
}

/** The choices above the chart; those longer than the model's horizon are struck out. */
function choices(box, name, entries, current, allowed, chosen) {
  box.replaceChildren(...entries.map(([text, value]) => {
    const input = make("input");
    Object.assign(input, { type: "radio", name, value: String(value), checked: value === current, disabled: !allowed(value) });
    input.addEventListener("change", () => chosen(value));
    const label = make("label", "", "", input, make("span", text));
    if (input.disabled) label.title = "Further than this model was trained to see";
    return label;
  }));
}

function remember() {
  const hash = new URLSearchParams({ series: state.name, hours: state.horizon / HOUR, days: state.history });
  if (state.threshold !== null) hash.set("above", state.threshold);
  history.replaceState(null, "", `#${hash}`);
}

function recall() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const horizon = Number(hash.get("hours")) * HOUR;
  const days = Number(hash.get("days"));
  const above = Number.parseFloat(hash.get("above") ?? "");
  if (HORIZONS.some(([, ms]) => ms === horizon)) state.horizon = horizon;
  if (HISTORIES.some(([, d]) => d === days)) state.history = days;
  if (Number.isFinite(above)) state.threshold = above;
  return hash.get("series");
}

/** A document, or null with the reason kept, for parts of the page that may be missing. */
async function maybe(promise, reasons, key) {
  try {
    return await promise;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    reasons[key] = error;
    return null;
  }
}

/** Shows a series: everything is asked at once, each part appears when its answer is there. */
async function show(name) {
  state.stop?.abort();
  const stop = new AbortController();
  Object.assign(state, { name, stop });
  picker.show(name);
  document.title = `${name} · Forewatt`;
  document.querySelectorAll(".chart").forEach((chart) => chart.classList.add("busy"));
  try {
    const info = await get(of(name), {}, stop.signal);
    const local = new LocalTime(info.time_zone);
    const view = { info, local, unit: info.unit, step: duration(info.resolution), reasons: {} };
    view.model = info.aliases.champion ? await maybe(get(`/v1/models/${encodeURIComponent(info.aliases.champion)}`, {}, stop.signal), view.reasons, "model") : null;
    view.reach = view.model ? view.model.recipe.horizon.steps * view.step : 0;
    if (view.reach > 0 && state.horizon > view.reach) state.horizon = HORIZONS.findLast(([, ms]) => ms <= view.reach)?.[1] ?? view.reach;
    state.shown = view;
    head(view);
    remember();
    say("");
    $("content").hidden = false;
    await Promise.all([forecast(view, stop.signal), accuracy(view, stop.signal), quality(view, stop.signal)]);
    fillTiles(view);
    await past(view, stop.signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Refused)) console.error(error);
    say(error.message, true);
  } finally {
    if (state.stop === stop) document.querySelectorAll(".chart").forEach((chart) => chart.classList.remove("busy"));
  }
}

function head({ info, unit, reach }) {
  $("series-name").textContent = info.name;
  const facts = [info.kind, unit && `in ${unit}`, `every ${info.resolution.replace("PT", "").toLowerCase()}`, info.time_zone, info.holiday_region && `holidays of ${info.holiday_region}`];
  $("series-facts").textContent = facts.filter(Boolean).join(" · ");
  const own = reach > 0 && !HORIZONS.some(([, ms]) => ms <= reach) ? [[`${Math.round(reach / HOUR)} h`, reach]] : [];
  choices($("horizons"), "horizon", [...own, ...HORIZONS], state.horizon, (ms) => ms <= reach, (ms) => { state.horizon = ms; refresh(); });
  choices($("histories"), "history", HISTORIES, state.history, () => true, (days) => { state.history = days; refresh(); });
  $("horizons").closest("fieldset").hidden = reach === 0;
  $("threshold").closest(".field").hidden = reach === 0;
  $("threshold-unit").textContent = unit;
  $("threshold").value = state.threshold ?? "";
}

function fillTiles(view) {
  $("tiles").replaceChildren(...tiles(view));
}

/** The forecast panel alone, after another choice. */
async function refresh() {
  const { shown: view, stop } = state;
  remember();
  try {
    await forecast(view, stop.signal);
    fillTiles(view);
  } catch (error) {
    if (error.name !== "AbortError") say(error.message, true);
  }
}

async function forecast(view, signal) {
  const { info, local, step, unit } = view;
  const asked = { horizon: hours(state.horizon), threshold: state.threshold };
  const answer = info.aliases.champion ? await maybe(get(of(info.name, "/forecast"), asked, signal), view.reasons, "forecast") : null;
  const last = info.state.last_valid_time ? Date.parse(info.state.last_valid_time) : null;
  const start = answer ? Date.parse(answer.forecast_start) : last === null ? null : last + step;
  view.forecast = answer ? { ...answer, points: withMs(answer.points) } : null;
  const banner = $("degraded");
  banner.hidden = !answer?.degraded;
  banner.textContent = answer?.degraded ? `Degraded: ${answer.degraded}.` : "";
  if (start === null) {
    sayEmpty($("forecast-chart"), "No data yet. Import a file with “forewatt import”, or POST observations.");
    return;
  }
  const from = start - state.history * DAY;
  const end = view.forecast ? view.forecast.points.at(-1).ms + step : start;
  const [observed, holidays] = await Promise.all([
    get(of(info.name, "/observations"), { from: iso(from), to: iso(start) }, signal),
    maybe(get(of(info.name, "/holidays"), { from: iso(from), to: iso(end) }, signal), view.reasons, "holidays"),
  ]);
  view.history = withMs(observed.observations);
  view.holidays = (holidays?.days ?? []).map((day) => ({ ...day, startMs: Date.parse(day.start), endMs: Date.parse(day.end) }));
  await paint(view, start);
}

async function paint(view, start) {
  const { info, local, step, unit, forecast: answer, history: past, holidays } = view;
  view.start = start;
  const points = answer?.points ?? [];
  const threshold = answer ? state.threshold : null;
  await drawForecast($("forecast-chart"), { history: past, points, holidays, start, step, threshold, unit, local });
  const widest = points.length > 0 ? bands(Object.keys(points[0].quantiles))[0] : null;
  $("forecast-chart").setAttribute("aria-label", answer
    ? `Chart: ${state.history} days of history and ${points.length} forecast steps of ${info.name}, with bands up to ${widest ? cover(widest) : 0} %. The figures follow as a table.`
    : `Chart: ${state.history} days of history of ${info.name}.`);
  $("forecast-legend").replaceChildren(...legend([
    ["k-actual", "measured"], ...(answer ? [["", "expected"]] : []), ...(widest ? [["k-band", `bands up to ${cover(widest)} %`]] : []),
    ...(holidays.length > 0 ? [["k-holiday", "holiday (pale: bridge day)"]] : []), ...(threshold === null ? [] : [["k-threshold", "threshold"]]),
  ]));
  const named = holidays.map((day) => `${local.day.format(day.startMs)} ${day.name}`);
  $("holiday-list").hidden = named.length === 0;
  $("holiday-list").textContent = `Special days shown: ${named.join(", ")}.`;
  const box = $("forecast-table").querySelector(".scroll");
  box.replaceChildren(...(points.length > 0 ? [forecastTable(points, unit, local)] : []));
  $("forecast-table").hidden = points.length === 0;
  const line = $("threshold-answer");
  line.hidden = threshold === null;
  line.textContent = threshold === null ? "" : thresholdAnswer(points, threshold, unit, local);
  if (!answer) {
    const reason = view.reasons.forecast?.message ?? `No model yet: train one with “forewatt train ${info.name}”.`;
    $("degraded").hidden = false;
    $("degraded").textContent = reason;
  }
}

/** What was forecast for the last days: as issued a day ahead, or replayed when too few were issued. */
async function past(view, signal) {
  const { info, local, step, unit, reach } = view;
  const [chart, note] = [$("past-chart"), $("past-note")];
  const last = info.state.last_valid_time ? Date.parse(info.state.last_valid_time) : null;
  $("past-legend").replaceChildren();
  note.textContent = "";
  if (last === null || !view.forecast) {
    sayEmpty(chart, "Nothing to compare yet: it takes data and a model.");
    return;
  }
  const until = Math.min(last + step, Date.parse(view.forecast.forecast_start));
  const from = local.startOfDay(until - PAST_DAYS * DAY);
  const observed = await get(of(info.name, "/observations"), { from: iso(from), to: iso(until) }, signal);
  const actuals = withMs(observed.observations);
  let runs = await issuedRuns(view, from, until, signal);
  if (runs.flat().length * step >= DAY) {
    note.textContent = "As issued at least 24 hours ahead; times are local.";
  } else {
    runs = await replayedRuns(view, until, Math.min(DAY, reach), signal);
    note.textContent = "Too few forecasts were issued a day ahead, so these are replayed: each day from its midnight with the data known then, "
      + "but with today’s model, which may have learned from these days. The backtest below is the honest score.";
  }
  if (runs.length === 0 || actuals.length === 0) {
    note.textContent = "";
    sayEmpty(chart, "The data do not reach back far enough to compare.");
    return;
  }
  view.past = { runs, actuals, holidays: view.holidays, step, unit, local };
  await drawPast(chart, view.past);
  const within = insideShare(runs, actuals);
  chart.setAttribute("aria-label", `Chart: forecasts of the last ${PAST_DAYS} days against what was measured. ${within}`);
  $("past-legend").replaceChildren(...legend([["k-actual", "measured"], ["", "forecast"], ["k-band", "bands"]]), make("span", within));
}

async function issuedRuns(view, from, until, signal) {
  const issued = await maybe(get(of(view.info.name, "/forecasts"), { lead: "PT24H", from: iso(from), to: iso(until) }, signal), view.reasons, "issued");
  const points = withMs(issued?.points ?? []);
  return points.length > 0 ? [points] : [];
}

async function replayedRuns({ info, local, step }, until, horizon, signal) {
  const requests = [];
  const anchor = Date.parse(info.state.first_valid_time); // the series' periods start a whole number of steps from here
  let midnight = local.startOfDay(until - horizon);
  for (let i = 0; i < PAST_DAYS; i++, midnight = local.startOfDay(midnight - 6 * HOUR)) {
    requests.unshift({ series: info.name, horizon: hours(horizon), forecast_start: iso(anchor + Math.floor((midnight - anchor) / step) * step) });
  }
  const { results } = await post("/v1/forecasts:batch", { requests }, signal);
  return results.filter((r) => r.forecast).map((r) => withMs(r.forecast.points));
}

/** How often what was measured lay inside the widest band. */
function insideShare(runs, actuals) {
  const measured = new Map(actuals.map((o) => [o.ms, o.value]));
  const known = runs.flat().filter((p) => measured.has(p.ms));
  const widest = known.length > 0 ? bands(Object.keys(known[0].quantiles))[0] : null;
  if (!widest) return "";
  const inside = known.filter((p) => measured.get(p.ms) >= p.quantiles[widest[0]] && measured.get(p.ms) <= p.quantiles[widest[1]]);
  return `${percent(inside.length / known.length)} of what was measured lay inside the ${cover(widest)} % band.`;
}

async function accuracy(view, signal) {
  const { info, local } = view;
  view.accuracy = info.aliases.champion ? await maybe(get(of(info.name, "/accuracy"), {}, signal), view.reasons, "accuracy") : null;
  const [note, box] = [$("accuracy-note"), $("accuracy-table")];
  const found = view.accuracy;
  box.replaceChildren(...(found?.rows.length > 0 ? [accuracyTable(found)] : []));
  if (!found) {
    note.textContent = view.reasons.accuracy?.message ?? "No model yet.";
  } else if (found.rows.length === 0) {
    note.textContent = found.notes.join(" ") || "This version has no backtest.";
  } else {
    const span = found.from && found.to ? `Forecasts from ${local.date.format(Date.parse(found.from))} to ${local.date.format(Date.parse(found.to))}, ` : "Forecasts ";
    note.textContent = `${span}each with only the data known at its start. ${found.model_version}; errors in ${found.unit || "the series’ unit"}, smaller is better.`;
  }
}

async function quality(view, signal) {
  view.quality = await maybe(get(of(view.info.name, "/quality"), {}, signal), view.reasons, "quality");
  const [note, box] = [$("quality-note"), $("quality-list")];
  box.replaceChildren();
  if (!view.quality) {
    note.textContent = view.reasons.quality?.message ?? "";
    return;
  }
  const count = findingsOf(view.quality).length;
  note.textContent = `Score ${percent(view.quality.score)}, checked ${view.local.moment.format(Date.parse(view.quality.checked_at))}. ${count === 0 ? "Nothing suspicious was found." : `${count} finding${count === 1 ? "" : "s"}${count > 50 ? ", the first 50 are shown" : ""}:`}`;
  if (count > 0) box.append(findingsList(view.quality, view.local));
}

const picker = new Picker($("series-input"), $("series-list"), show);

$("controls").addEventListener("submit", (event) => event.preventDefault());
$("threshold").addEventListener("change", (event) => {
  const value = event.target.valueAsNumber;
  state.threshold = Number.isFinite(value) ? value : null;
  refresh();
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", async () => {
  const view = state.shown;
  if (view?.history) await paint(view, view.start);
  if (view?.past) await drawPast($("past-chart"), view.past);
});

async function begin() {
  say("Loading the series …");
  try {
    state.series = await allSeries();
  } catch (error) {
    say(error.message, true);
    return;
  }
  picker.offer(state.series);
  if (state.series.length === 0) {
    say("There are no series yet. Import a file: forewatt import FILE --series NAME --time COLUMN --value COLUMN, then reload this page. “forewatt demo” shows a ready-made example.");
    return;
  }
  const wanted = recall();
  const answering = state.series.filter((s) => s.aliases.champion);
  const first = answering.find((s) => s.kind === "load") ?? answering[0] ?? state.series[0];
  if (wanted && !state.series.some((s) => s.name === wanted)) {
    await show(first.name);
    say(`There is no series “${wanted}”; ${first.name} is shown instead.`, true);
  } else {
    await show(wanted ?? first.name);
  }
}

begin();
