// Renders /openapi.json: every route, its parameters, bodies and answers, and a way to try the reading ones.

import { make, table } from "./panels.js";

const METHODS = ["get", "put", "post", "delete", "patch"];
let schemas = {};

const follow = (schema) => (schema?.$ref ? schemas[schema.$ref.split("/").pop()] ?? {} : schema ?? {});

/** A type in one word or two. */
function typeOf(schema) {
  if (schema?.$ref) return schema.$ref.split("/").pop();
  const either = schema?.oneOf ?? schema?.anyOf;
  if (either) return either.map(typeOf).filter((t) => t !== "null").join(" or ");
  const types = [schema?.type ?? "any"].flat().filter((t) => t !== "null");
  if (types[0] === "array") return `list of ${typeOf(schema.items)}`;
  return types.join(" or ");
}

/** What a document of a schema looks like; `depth` ends recursion. */
function sample(schema, depth = 0) {
  const found = follow(schema);
  const either = (found.oneOf ?? found.anyOf)?.find((one) => one.type !== "null");
  if (either) return sample(either, depth);
  const type = [found.type].flat().find((t) => t !== "null");
  if (found.example !== undefined) return found.example;
  if (depth > 5) return null;
  if (type === "array") return [sample(found.items, depth + 1)];
  if (found.properties) return Object.fromEntries(Object.entries(found.properties).map(([name, inner]) => [name, sample(inner, depth + 1)]));
  if (type === "object") return found.additionalProperties ? { name: sample(found.additionalProperties, depth + 1) } : {};
  return { string: "text", number: 0.5, integer: 1, boolean: true }[type] ?? null;
}

/** The fields of a schema, then those of the schemas it names, each once. */
function fieldTables(name, schema, told = new Set()) {
  const fields = Object.entries(follow(schema).properties ?? {});
  if (fields.length === 0 || told.has(name)) return [];
  told.add(name);
  const rows = fields.map(([field, inner]) => ({ cells: [field, typeOf(inner), (inner.description ?? follow(inner).description ?? "").replaceAll("`", "")] }));
  const own = [make("h4", name), make("div", "", "scroll", table(`Fields of ${name}`, ["Field", "Type", "Meaning"], rows))];
  const named = fields.flatMap(([, inner]) => [inner, inner.items, ...(inner.oneOf ?? [])]).filter((one) => one?.$ref);
  return [...own, ...named.flatMap((one) => fieldTables(typeOf(one), one, told))];
}

function bodyBlock(title, content) {
  const block = make("div", "", "", make("h3", `${title} · ${Object.keys(content).join(" or ")}`));
  const json = Object.entries(content).find(([media]) => media.includes("json"))?.[1].schema;
  if (json) block.append(make("pre", JSON.stringify(sample(json), null, 2)), ...fieldTables(typeOf(json), json));
  return block;
}

/** A form that sends a GET and shows what comes back. */
function tryIt(path, parameters) {
  const form = make("form");
  const inputs = parameters.map((parameter) => {
    const input = make("input");
    input.placeholder = parameter.example ?? parameter.schema?.example ?? "";
    input.required = parameter.in === "path";
    return { parameter, input, label: make("label", `${parameter.name} `, "", input) };
  });
  const shown = make("pre");
  shown.hidden = true;
  shown.tabIndex = 0;
  form.append(make("div", "", "try", ...inputs.map(({ label }) => label)), make("button", "Send"), shown);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let target = path;
    const query = new URLSearchParams();
    for (const { parameter, input } of inputs) {
      if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (input.value) query.set(parameter.name, input.value);
    }
    const url = query.size > 0 ? `${target}?${query}` : target;
    shown.hidden = false;
    try {
      const response = await fetch(url);
      const text = await response.text();
      let pretty = text;
      try { pretty = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it is */ }
      shown.textContent = `GET ${url}\n${response.status} ${response.statusText}\n\n${pretty.slice(0, 20000)}`;
    } catch (error) {
      shown.textContent = `GET ${url}\n${error.message}`;
    }
  });
  return form;
}

function route(path, method, operation) {
  const element = make("details", "", "route");
  element.id = `${method}-${path}`;
  const lines = (operation.summary ?? operation.description ?? "").replaceAll("`", "").split("\n");
  element.append(make("summary", "", "", make("span", method.toUpperCase(), "method"), make("code", path), make("span", lines[0], "muted small")));
  const inside = make("div");
  // Built when it is opened: the page stays light.
  element.addEventListener("toggle", () => {
    if (!element.open || inside.childElementCount > 0) return;
    if (operation.description) inside.append(make("p", operation.description.replaceAll("`", "")));
    const parameters = operation.parameters ?? [];
    if (parameters.length > 0) {
      const rows = parameters.map((p) => ({ cells: [p.name, p.in, typeOf(p.schema), `${(p.description ?? "").replaceAll("`", "")}${p.required ? "" : " Optional."}`] }));
      inside.append(make("h3", "Parameters"), make("div", "", "scroll", table(`Parameters of ${path}`, ["Name", "In", "Type", "Meaning"], rows)));
    }
    if (operation.requestBody) inside.append(bodyBlock("Body", operation.requestBody.content));
    for (const [status, answer] of Object.entries(operation.responses ?? {})) {
      inside.append(make("h3", `${status}: ${answer.description}`));
      if (answer.content && status.startsWith("2")) inside.append(bodyBlock(`Answer ${status}`, answer.content));
    }
    if (method === "get") inside.append(make("h3", "Try it"), tryIt(path, parameters));
  });
  element.append(inside);
  return element;
}

async function begin() {
  const about = document.getElementById("about");
  let api;
  try {
    api = await (await fetch("/openapi.json")).json();
  } catch {
    about.textContent = "The description could not be loaded. Is forewatt still running?";
    return;
  }
  schemas = api.components?.schemas ?? {};
  about.textContent = api.info.description.replaceAll("`", "");
  const routes = Object.entries(api.paths).flatMap(([path, item]) => METHODS.filter((m) => item[m]).map((m) => [path, m, item[m]]));
  for (const tag of api.tags) {
    const mine = routes.filter(([, , operation]) => operation.tags?.includes(tag.name));
    const section = make("section", "", "", make("h2", tag.name), make("p", tag.description ?? "", "muted"));
    section.append(...mine.map(([path, method, operation]) => route(path, method, operation)));
    document.getElementById("routes").append(section);
  }
}

begin();
