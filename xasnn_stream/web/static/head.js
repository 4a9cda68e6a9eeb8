// The newest verdict in large letters, and how things are.

import * as words from "./words.js";

const at = (id) => document.getElementById(id);
const BACK = 50; // Results whose latencies are summed up.
let drawn = {};

export function draw(store, lostAt) {
  drawAlarm(store, lostAt);
  drawAge(store);
  if (drawn.version !== store.version || drawn.profile !== store.profile) {
    drawNewest(store.latest());
    drawLatency(store.shownResults());
  }
  if (drawn.status !== store.status && store.status) drawStatus(store.status);
  drawn = { version: store.version, profile: store.profile, status: store.status };
}

function drawAlarm(store, lostAt) {
  const lost = lostAt !== null;
  document.body.classList.toggle("lost", lost);
  at("alarm").hidden = !lost;
  if (lost)
    words.say(at("alarm"), `No connection to the daemon since ${words.clock(lostAt / 1000)}. What you see is from `
      + "before. It does not answer, or too many pages are open; trying again …");
  const missing = lost && `not connected for ${words.age((Date.now() - lostAt) / 1000)}`;
  words.say(at("connection"), missing || (store.status ? "connected" : "connecting …"));
  const waits = store.status?.waits_for ?? [];
  at("notice").hidden = lost || waits.length === 0;
  words.say(at("notice"), `Not ready: ${waits.join("; ")}`);
  drawTitle(store.latest(), lost);
}

function drawTitle(latest, lost) {
  const verdict = latest?.estimate.verdict;
  const newest = latest ? `${words.GLYPHS[verdict] ?? ""} ${verdict}, scan ${words.scan(latest.estimate.run)}` : "xasnn-stream";
  const title = lost ? "! no connection" : newest;
  if (document.title !== title) document.title = title;
}

function drawAge(store) {
  const last = store.status?.last_document;
  words.say(at("age"), words.finite(last) ? `${words.age(store.now() - last)} ago` : "none yet");
}

function drawNewest(newest) {
  const verdict = newest?.estimate.verdict;
  at("verdict").dataset.verdict = verdict ?? "none";
  words.say(at("verdict").querySelector(".glyph"), words.GLYPHS[verdict] ?? "");
  words.say(at("verdict").querySelector(".word"), verdict ?? "no result yet");
  words.say(at("which"), newest ? describe(newest) : "");
  at("which").title = newest ? `run ${newest.estimate.run.uid}` : "";
  at("reasons").replaceChildren(
    ...(newest?.estimate.reasons ?? []).map(({ text }) => words.element("li", "", sentence(text))),
  );
  at("values").classList.toggle("grey", verdict === "outside");
  drawValues(Object.entries(newest?.estimate.descriptors ?? {}));
}

function drawValues(descriptors) {
  const place = at("values");
  const titles = descriptors.map(([name, one]) => words.title(name, one.unit));
  if (place.dataset.titles !== titles.join("\n")) {
    place.dataset.titles = titles.join("\n");
    place.replaceChildren(...titles.map((title) => words.element("div", "", words.element("dt", "", title),
      words.element("dd", "value"), words.element("dd", "interval"))));
  }
  for (const [k, [name, one]] of descriptors.entries()) {
    const [, value, interval] = place.children[k].children;
    words.say(value, words.number(name, one.value, one.unit));
    words.say(interval, words.interval(name, one) || "no interval");
  }
}

function describe({ estimate }) {
  const parts = [`scan ${words.scan(estimate.run)}`, estimate.sample ?? "unnamed sample",
    `${estimate.element} ${estimate.edge}`, words.clock(estimate.time.end)];
  return parts.join(" · ");
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function drawLatency(results) {
  const sorted = results.slice(-BACK).map((one) => one.latency_s).filter(words.finite).sort((a, b) => a - b);
  const quantile = (q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
  lines(at("latency"), sorted.length
    ? [words.duration(quantile(0.5)), `95 %: ${words.duration(quantile(0.95))}`] : ["–"]);
}

function drawStatus(status) {
  const waiting = [
    ...Object.entries(status.queues ?? {}),
    ...Object.entries(status.pending ?? {}).map(([name, n]) => [`for ${name}`, n]),
  ].filter(([, n]) => n > 0);
  lines(at("backlog"), waiting.length ? waiting.map(([name, n]) => `${n} ${name}`) : ["none"]);
  const { documents = 0, rows = 0 } = status.missed ?? {};
  const missed = [[documents, "document"], [rows, "row"]].filter(([n]) => n > 0);
  lines(at("missed"), missed.length ? missed.map(([n, noun]) => words.plural(n, noun)) : ["none"]);
  at("missed").classList.toggle("bad", missed.length > 0);
  const counts = Object.entries(status.verdicts ?? {}).filter(([, n]) => n > 0);
  words.say(at("counts"), counts.map(([name, n]) => `${n} ${name}`).join(", ") || "no results");
  const { sources = [], connected = {}, models = {} } = status;
  const lost = sources.filter((address) => connected[address] === false);
  lines(at("sources"), sources.map((address) => `${lost.includes(address) ? "○ not connected:" : "●"} ${address}`));
  at("sources").classList.toggle("bad", lost.length > 0);
  lines(at("model"), readers(models));
  words.say(at("about"), `xasnn-stream ${status.version ?? ""}`);
}

// Each model once, with the profiles whose spectra it reads.
function readers(models) {
  const found = new Map();
  for (const [profile, { name, sha256, device }] of Object.entries(models)) {
    const key = [name, sha256, device].join("\n");
    found.set(key, [...(found.get(key) ?? []), profile]);
  }
  return [...found].flatMap(([key, profiles]) => {
    const [name, sha256, device] = key.split("\n");
    const noun = profiles.length > 1 ? "profiles" : "profile";
    return [name, `${sha256.slice(0, 8)} on ${device}, ${noun} ${profiles.join(", ")}`];
  });
}

// The first line in bold, others small; all of them on hovering.
function lines(node, texts) {
  const [first, ...others] = texts.length ? texts : ["–"];
  const text = texts.join("\n");
  if (node.title === text) return;
  node.title = text;
  node.replaceChildren(words.element("span", "line", first),
    ...others.map((other) => words.element("small", "", other)));
}
