// Chooses a series: a combobox as the ARIA practices describe it, for a few hundred names.

const SHOWN_MAX = 200;

/** Turns the page's input and list into a picker; `chosen(name)` is called with the name of a series. */
export class Picker {
  constructor(input, list, chosen) {
    Object.assign(this, { input, list, chosen, all: [], shown: [], active: -1, current: "" });
    input.addEventListener("input", () => this.open(input.value));
    input.addEventListener("focus", () => { input.select(); this.open(""); });
    input.addEventListener("click", () => { if (list.hidden) this.open(""); });
    input.addEventListener("blur", () => this.close());
    input.addEventListener("keydown", (event) => this.key(event));
    // mousedown, not click: the list closes when the input loses the focus.
    list.addEventListener("mousedown", (event) => {
      event.preventDefault();
      const item = event.target.closest("[role=option]");
      if (item) this.take(item.dataset.name);
    });
  }

  /** The series to choose from. */
  offer(series) {
    this.all = series;
    this.input.disabled = series.length === 0;
  }

  /** Shows a name as chosen without telling anybody. */
  show(name) {
    this.current = name;
    this.input.value = name;
  }

  open(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (s) => words.every((word) => `${s.name} ${s.kind} ${s.unit}`.toLowerCase().includes(word));
    const found = this.all.filter(fits);
    this.shown = found.slice(0, SHOWN_MAX);
    const items = this.shown.map((s, i) => this.item(s, i));
    if (found.length === 0) items.push(this.remark(`No series fits “${text}”.`));
    if (found.length > SHOWN_MAX) items.push(this.remark(`${found.length - SHOWN_MAX} more: type a part of the name.`));
    this.list.replaceChildren(...items);
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    const at = this.shown.findIndex((s) => s.name === this.current);
    this.mark(words.length > 0 ? Math.min(0, this.shown.length - 1) : at);
  }

  item(series, i) {
    const item = document.createElement("li");
    item.id = `series-option-${i}`;
    item.dataset.name = series.name;
    item.setAttribute("role", "option");
    item.append(series.name);
    const facts = document.createElement("span");
    facts.className = "muted small";
    facts.textContent = ` ${series.kind}${series.unit ? `, ${series.unit}` : ""}${series.aliases.champion ? "" : ", no model yet"}`;
    item.append(facts);
    return item;
  }

  remark(text) {
    const item = document.createElement("li");
    item.className = "none muted small";
    item.textContent = text;
    return item;
  }

  mark(index) {
    this.active = index;
    [...this.list.querySelectorAll("[role=option]")].forEach((item, i) => item.setAttribute("aria-selected", String(i === index)));
    const item = index >= 0 ? this.list.querySelector(`#series-option-${index}`) : null;
    if (item) {
      this.input.setAttribute("aria-activedescendant", item.id);
      item.scrollIntoView({ block: "nearest" });
    } else {
      this.input.removeAttribute("aria-activedescendant");
    }
  }

  key(event) {
    const last = this.shown.length - 1;
    const moves = { ArrowDown: Math.min(this.active + 1, last), ArrowUp: Math.max(this.active - 1, 0) };
    if (event.key in moves) {
      event.preventDefault();
      if (this.list.hidden) this.open("");
      else this.mark(moves[event.key]);
    } else if (event.key === "Enter" && !this.list.hidden && this.active >= 0) {
      event.preventDefault();
      this.take(this.shown[this.active].name);
    } else if (event.key === "Escape") {
      this.close();
    }
  }

  take(name) {
    this.show(name);
    this.close();
    this.chosen(name);
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
    this.input.value = this.current;
  }
}
