// Numbers, times and names as people read them.

export const GLYPHS = { ok: "●", caution: "▲", outside: "◇", rejected: "✕" };
const UNITS = { angstrom: "Å", "angstrom^2": "Å²", "angstrom²": "Å²", ev: "eV" };
const DIGITS = { angstrom: 3, "angstrom^2": 4, "angstrom²": 4, ev: 2 };

const clockFormat = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

const minuteFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

export const finite = (x) => typeof x === "number" && Number.isFinite(x);

export function number(name, value, unit) {
  return finite(value) ? digits(name, value, unit).replace("-", "−") : "–";
}

function digits(name, value, unit) {
  if (unit in DIGITS) return value.toFixed(DIGITS[unit]);
  if (name.startsWith("cn")) return value.toFixed(1);
  if (name.startsWith("n_")) return value.toFixed(0);
  return Number(value.toPrecision(3)).toString();
}

export function interval(name, descriptor) {
  const ends = descriptor.interval;
  if (!Array.isArray(ends) || !ends.every(finite)) return "";
  const between = ends[0] < 0 ? " to " : "–";
  return ends.map((end) => number(name, end, descriptor.unit)).join(between);
}

// "9.7 (9.1–10.3)"; without an interval only the value.
export function value(name, descriptor) {
  if (!descriptor || !finite(descriptor.value)) return "–";
  const range = interval(name, descriptor);
  const text = number(name, descriptor.value, descriptor.unit);
  return range ? `${text} (${range})` : text;
}

export function title(name, unit) {
  return unit ? `${name} / ${UNITS[unit.toLowerCase()] ?? unit}` : name;
}

export const clock = (epoch) =>
  finite(epoch) ? clockFormat.format(new Date(1000 * epoch)) : "–";

// A tick of an axis, to be mapped over all of them: as many digits as their distance needs.
export function tick(value, k, ticks) {
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : 1;
  let digits = 0;
  for (let scaled = step; digits < 9 && Math.abs(scaled - Math.round(scaled)) > 1e-6; digits += 1) scaled *= 10;
  return value.toFixed(digits).replace("-", "−");
}

// A tick of a time axis whose ticks are `step` seconds apart.
export function moment(epoch, step) {
  const date = new Date(1000 * epoch);
  if (step < 60) return clockFormat.format(date);
  return step < 86400 ? minuteFormat.format(date) : dayFormat.format(date);
}

export function age(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export function duration(seconds) {
  if (!finite(seconds)) return "–";
  return seconds < 1 ? `${Math.round(1000 * seconds)} ms` : age(seconds);
}

export function scan(run) {
  const name = run.scan_id ?? String(run.uid).slice(0, 8);
  return run.sweep > 0 ? `${name} · sweep ${run.sweep}` : `${name}`;
}

const NAMED = 3; // Energies of points left out; of more only the number is said.

// What was done to the readings of a sweep before its numbers were made; "" if nothing.
export function cleaning({ quality = {}, masked_ev: masked = [] }) {
  const { n_masked: left = 0, n_merged: merged = 0, e0_shift_ev: shift, e0_shift_std_ev: std } = quality;
  const at = masked.slice(0, NAMED).map((energy) => energy.toFixed(1)).join(", ");
  const more = left > NAMED ? " …" : "";
  const error = finite(std) ? ` ± ${std.toFixed(2)}` : "";
  const corrected = quality.axis_corrected ? ", corrected" : "";
  return [
    left > 0 && `${plural(left, "point")} left out${at && ` at ${at}${more} eV`}`,
    merged > 0 && `${plural(merged, "reading")} averaged into another of the same energy`,
    finite(shift) && `energy axis ${shift < 0 ? "−" : "+"}${Math.abs(shift).toFixed(2)}${error} eV from the foil's${corrected}`,
  ].filter(Boolean).join(" · ");
}

export const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

// The only way text gets onto the page: as text.
export function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

// Leaves the page alone where nothing changed: no layout, no selection lost.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
