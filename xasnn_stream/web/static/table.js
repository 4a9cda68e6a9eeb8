// The latest results, newest first.

import * as words from "./words.js";

const ROWS = 30; // Painting them is half of the work when results come fast.
const table = document.querySelector("#results table");
const empty = document.getElementById("no-results");
let columns = [];
let rows = new Map(); // Row elements by result, made once each.
let drawn = {};

export function draw(store, pick) {
  const key = `${store.version} ${store.profile}`;
  if (drawn.key !== key) {
    const latest = store.shownResults().slice(-ROWS).reverse();
    build(store.descriptors());
    const body = table.tBodies[0];
    const kept = new Map(latest.map((result) => [result, rows.get(result) ?? row(result, pick)]));
    for (const [result, one] of rows) if (!kept.has(result)) one.remove();
    // Only what is new is put in: moving every row would lay out the whole table again.
    let next = body.firstChild;
    for (const [result, one] of kept) {
      if (one === next) next = next.nextSibling;
      else body.insertBefore(one, next);
      one.classList.toggle("void", Boolean(result.void));
    }
    rows = kept;
    table.hidden = latest.length === 0;
    empty.hidden = latest.length > 0;
  }
  const shown = store.shown();
  if (drawn.shown !== shown || drawn.key !== key) {
    for (const [result, one] of rows) {
      if (result === shown) one.setAttribute("aria-current", "true");
      else one.removeAttribute("aria-current");
    }
  }
  drawn = { key, shown };
}

function build(units) {
  const names = [...units.keys()];
  if (table.tHead.rows.length && names.join("\n") === columns.join("\n")) return;
  columns = names;
  rows = new Map();
  table.tBodies[0].replaceChildren();
  const heads = [["scan", "Scan"], ["time", "Measured"], ["sample", "Sample"], ["verdict", "Verdict"],
    ...names.map((name) => [units.get(name) ? "number length" : "number", words.title(name, units.get(name))]), ["latency", "Latency"]];
  const line = words.element("tr", "", ...heads.map(([kind, text]) => {
    const head = words.element("th", kind, text);
    head.scope = "col";
    return head;
  }));
  table.tHead.replaceChildren(line);
}

function row(result, pick) {
  const { estimate } = result;
  const button = words.element("button", "", words.scan(estimate.run));
  button.type = "button";
  button.setAttribute("aria-label", `Show the spectrum of scan ${words.scan(estimate.run)}`);
  const reasons = estimate.reasons.map(({ text }) => text).join("; ");
  const verdict = cell("verdict", `${words.GLYPHS[estimate.verdict] ?? ""} ${estimate.verdict}`);
  if (reasons) verdict.append(words.element("small", "", reasons));
  verdict.title = reasons;
  const scan = words.element("td", "scan", button);
  const sample = cell("sample", estimate.sample ?? "");
  sample.title = estimate.sample ?? "";
  const line = words.element("tr", estimate.verdict, scan, cell("time", words.clock(estimate.time.end)), sample, verdict,
    ...columns.map((name) => cell("number", words.value(name, estimate.descriptors[name]))),
    cell("latency", words.duration(result.latency_s)));
  line.addEventListener("click", () => pick(result.seq));
  return line;
}

const cell = (kind, text) => words.element("td", kind, text);
