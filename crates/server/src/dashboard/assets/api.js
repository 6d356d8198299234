// Talks to the API of the server this page came from.

/** A refused request, with the problem (RFC 9457) the server answered. */
export class Refused extends Error {
  constructor(problem) {
    super(problem.detail || problem.title || "The server refused the request.");
    this.problem = problem;
    this.status = problem.status;
  }
}

async function answer(response) {
  const text = await response.text();
  let body = null;
  try { body = JSON.parse(text); } catch { /* told below */ }
  if (response.ok && body !== null) return body;
  throw new Refused(body ?? { status: response.status, detail: `The server answered ${response.status} without a document.` });
}

async function send(url, options) {
  let response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused({ status: 0, detail: "The server does not answer. Is forewatt still running?" });
  }
  return answer(response);
}

/** GET a document; parameters that are null or empty are left out. */
export function get(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, value);
  }
  const text = query.toString();
  return send(text ? `${path}?${text}` : path, { signal, headers: { Accept: "application/json" } });
}

/** POST a JSON document. */
export function post(path, body, signal = undefined) {
  return send(path, { method: "POST", signal, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

/** Every series, page after page. */
export async function allSeries() {
  const series = [];
  let after = null;
  do {
    const page = await get("/v1/series", { after, limit: 1000 });
    series.push(...page.series);
    after = page.next ?? null;
  } while (after !== null && series.length < 10000);
  return series;
}

/** The address of a series' resource. */
export const of = (name, resource = "") => `/v1/series/${encodeURIComponent(name)}${resource}`;
