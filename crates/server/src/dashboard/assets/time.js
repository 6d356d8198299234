// Civil time of a series' zone. Charts run on UTC milliseconds, so hours that clocks skip or repeat stay in order;
// only labels are local.

export const HOUR = 3600e3;
export const DAY = 24 * HOUR;

/** Formats instants as clocks and calendars of one zone show them. */
export class LocalTime {
  constructor(zone) {
    this.zone = zone;
    const base = { timeZone: zone, hourCycle: "h23" };
    this.parts = new Intl.DateTimeFormat("en-GB", { ...base, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" });
    this.moment = new Intl.DateTimeFormat(undefined, { ...base, weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
    this.day = new Intl.DateTimeFormat(undefined, { timeZone: zone, weekday: "short", day: "numeric", month: "short" });
    this.date = new Intl.DateTimeFormat(undefined, { timeZone: zone, day: "numeric", month: "short", year: "numeric" });
    this.instant = new Intl.DateTimeFormat(undefined, { ...base, day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
    this.clock = new Intl.DateTimeFormat(undefined, { ...base, hour: "2-digit", minute: "2-digit" });
  }

  /** Local hour and minute of an instant. */
  read(ms) {
    const found = {};
    for (const part of this.parts.formatToParts(ms)) found[part.type] = Number(part.value);
    return found;
  }

  /** Local minus UTC, in milliseconds. */
  offset(ms) {
    const p = this.read(ms);
    const whole = Math.floor(ms / 60e3) * 60e3;
    return Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute) - whole;
  }

  /** The first instant of the local day that holds `ms`. */
  startOfDay(ms) {
    const local = ms + this.offset(ms);
    const midnight = Math.floor(local / DAY) * DAY;
    const guess = midnight - this.offset(ms);
    return midnight - this.offset(guess);
  }

  /** Tick positions and labels for a range, at most about `most`. */
  ticks(from, to, most) {
    const steps = [1, 2, 3, 6, 12].map((h) => h * HOUR).filter((step) => (to - from) / step <= most);
    if (steps.length > 0) return this.hourTicks(from, to, steps[0]);
    const days = [1, 2, 3, 4, 7, 14, 28].find((n) => (to - from) / (n * DAY) <= most) ?? 56;
    const ticks = { values: [], texts: [] };
    for (let at = this.startOfDay(from), i = 0; at <= to && i < 1000; i++) {
      if (at >= from) { ticks.values.push(at); ticks.texts.push(this.day.format(at)); }
      at = this.startOfDay(at + days * DAY + 6 * HOUR);
    }
    return ticks;
  }

  hourTicks(from, to, step) {
    const ticks = { values: [], texts: [] };
    for (let midnight = this.startOfDay(from), i = 0; midnight <= to && i < 400; i++) {
      const next = this.startOfDay(midnight + DAY + 6 * HOUR);
      for (let at = midnight; at < next; at += step) {
        // The last tick of a day must not crowd the next midnight on days of 23 or 25 hours.
        if (at < from || at > to || (at > midnight && next - at < step * 0.75)) continue;
        ticks.values.push(at);
        ticks.texts.push(at === midnight ? this.day.format(at) : this.clock.format(at));
      }
      midnight = next;
    }
    return ticks;
  }
}

/** Figures as people read them: four significant digits, no exponent. */
export function figure(value, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return value.toLocaleString(undefined, { maximumSignificantDigits: digits });
}

/** A share as a percentage. */
export const percent = (share) => (Number.isFinite(share) ? `${Math.round(share * 100)} %` : "–");
