// One spectrum over its reference, their difference beneath, on one energy axis.

import { axis, colour, fill, uPlot, upright } from "./plot.js";
import * as words from "./words.js";

const at = (id) => document.getElementById(id);
const MARGIN_EV = 10;
const LEAST_RANGE_EV = 50; // The first points of the first scan shall not fill the plot.
const LEAST_DIFFERENCE = 0.1; // A flat difference shall look flat.
const fetched = new Set();
let plots = null;
let view = { low: 0, high: 1, raw: false };
let masked = [];
let drawn = {};
let wholeScan = false;
let fullExtent = null;

export function draw(store) {
  plots ??= build();
  const shown = store.shown();
  const key = shown && `${shown.seq} ${shown.published} ${Boolean(shown.arrays)} ${wholeScan}`;
  drawControls(store, shown);
  if (drawn.key === key) return;
  drawn = { key };
  drawCaption(store, shown);
  if (shown && !shown.arrays) return fetchArrays(store, shown);
  const curves = curvesOf(shown);
  view = viewOf(curves);
  masked = curves.masked;
  plots.spectrum.setData(uPlot.join([[curves.energy, curves.sample], [curves.grid, curves.reference]]));
  plots.difference.setData([curves.grid, curves.difference]);
  for (const plot of [plots.spectrum, plots.difference]) plot.setScale("x", { min: view.low, max: view.high });
  document.documentElement.dataset.spectrum = shown ? `${shown.seq ?? "partial"}` : "";
}

export function restyle() {
  plots?.spectrum.redraw(false);
  plots?.difference.redraw(false);
}

export function toggleRange() {
  wholeScan = !wholeScan;
}

// The measured axis is put on the reference's, as the engine did before it subtracted,
// unless what was delivered already is.
function curvesOf(shown) {
  const arrays = shown?.arrays ?? {};
  const raw = !arrays.mu_normalized;
  const quality = raw ? {} : shown.estimate.quality;
  const shift = quality.axis_corrected ? 0 : quality.e0_shift_ev ?? 0;
  const mu = arrays.mu_normalized ?? arrays.mu ?? [];
  const pairs = (arrays.energy ?? []).map((energy, k) => [energy - shift, mu[k]])
    .filter(([energy]) => words.finite(energy)).sort((a, b) => a[0] - b[0]);
  return {
    raw,
    energy: pairs.map(([energy]) => energy),
    sample: pairs.map(([, value]) => value ?? null),
    masked: (shown?.estimate.masked_ev ?? []).map((energy) => energy - shift),
    grid: arrays.grid_energy ?? [],
    reference: arrays.mu_reference ?? [],
    difference: arrays.difference ?? [],
    final: Boolean(shown?.estimate.run.final),
  };
}

function viewOf({ raw, energy, grid, final }) {
  const own = extent(energy);
  if (own && final) fullExtent = own;
  const nothing = { low: 0, high: 1, raw };
  if (!raw && !wholeScan && grid.length) return { low: grid[0], high: grid[grid.length - 1], raw };
  if (!own) return fullExtent ? { low: fullExtent[0], high: fullExtent[1], raw } : nothing;
  // A scan that fills in is shown where the last one ended up, so that nothing jumps.
  const near = fullExtent && own[0] > fullExtent[0] - MARGIN_EV && own[1] < fullExtent[1] + MARGIN_EV;
  const [low, high] = near ? fullExtent : own;
  return { low, high: Math.max(high, low + LEAST_RANGE_EV), raw };
}

const extent = (values) => (values.length ? [values[0], values[values.length - 1]] : null);

async function fetchArrays(store, shown) {
  if (fetched.has(shown.seq)) return;
  fetched.add(shown.seq);
  try {
    const answer = await fetch(`api/history?since=${shown.seq - 1}&limit=1&arrays=1`);
    const [result] = (await answer.json()).results;
    if (result?.estimate.id === shown.estimate.id) shown.arrays = result.arrays;
    else words.say(at("progress"), "The log does not hold this spectrum any more.");
  } catch {
    words.say(at("progress"), "The spectrum could not be read from the daemon.");
  }
  fetched.delete(shown.seq);
  at("spectrum").dispatchEvent(new Event("loaded"));
}

function drawControls(store, shown) {
  const chosen = store.chosenResult() !== null;
  at("live").setAttribute("aria-pressed", String(!chosen));
  at("range").setAttribute("aria-pressed", String(wholeScan));
  const results = store.shownResults();
  at("back").disabled = results.length === 0 || shown === results[0];
  at("forward").disabled = !chosen;
}

function drawCaption(store, shown) {
  at("spectrum").classList.toggle("nothing", !shown);
  const progress = shown && !shown.estimate.run.final ? shown.estimate.run.progress : null;
  at("bar").classList.toggle("idle", !words.finite(progress));
  at("bar").value = progress ?? 0;
  if (!shown) {
    words.say(at("shown"), "Spectrum");
    words.say(at("progress"), "Nothing measured yet.");
    return;
  }
  const { estimate } = shown;
  const { run } = estimate;
  words.say(at("shown"), `Scan ${words.scan(run)}${estimate.sample ? ` · ${estimate.sample}` : ""}`);
  words.say(at("progress"), run.final ? finalCaption(store, shown) : partialCaption(estimate));
  at("spectrum").classList.toggle("measuring", !run.final);
  at("spectrum").classList.toggle("raw", !shown.arrays?.mu_normalized);
  words.say(at("sample-label"), run.final ? "measured" : "measured so far");
  words.say(at("reference-label"), `reference ${estimate.provenance.reference ?? ""}`);
}

function finalCaption(store, { seq, estimate, void: isVoid }) {
  const how = isVoid ? "void: a complete result followed" : estimate.verdict;
  const reasons = estimate.reasons.map(({ text }) => text).join("; ");
  const picked = store.chosen === seq ? "picked, " : "";
  const verdict = `${picked}measured ${words.clock(estimate.time.end)}, ${how}${reasons ? `: ${reasons}` : ""}`;
  return [verdict, estimate.size?.text, words.cleaning(estimate)].filter(Boolean).join(" · ");
}

function partialCaption(estimate) {
  const { run, descriptors, reasons } = estimate;
  const part = words.finite(run.progress) ? `${Math.round(100 * run.progress)} % measured` : "being measured";
  const values = Object.entries(descriptors)
    .map(([name, one]) => `${name} ${words.value(name, one)}`).join(", ");
  // That it is partial is said by how much is measured.
  const why = reasons.filter(({ code }) => code !== "partial").map(({ text }) => text).join("; ");
  return [part, values && `so far ${values}`, why, words.cleaning(estimate)].filter(Boolean).join(" · ");
}

function build() {
  const sync = { key: "energy", setSeries: false };
  const x = { time: false, range: () => [view.low, view.high] };
  const look = { cursor: { sync, y: false, drag: { x: false, y: false }, points: { size: 6 } } };
  const spectrum = fill(at("spectrum-plot"), {
    ...look,
    scales: { x, y: { range: spectrumRange } },
    axes: [axis({ values: (u, ticks) => ticks.map(() => ""), size: 6 }),
      upright({ label: () => (view.raw ? "raw μ" : "normalized μ"), labelSize: 18, values: (u, ticks) => ticks.map(words.tick) })],
    series: [{}, line("sample", 2), line("reference", 1.5, [6, 4])],
    hooks: { draw: [drawMasked, drawEnd], setCursor: [readout] },
  }, [[], [], []]);
  const difference = fill(at("difference-plot"), {
    ...look,
    scales: { x, y: { range: differenceRange } },
    axes: [axis({ label: "energy / eV", labelSize: 18, size: 24, values: (u, ticks) => ticks.map((t) => t.toFixed(0)) }),
      upright({ label: "difference", labelSize: 18, values: (u, ticks) => ticks.map(words.tick) })],
    series: [{}, line("difference", 1.5)],
    hooks: { drawAxes: [drawZero] },
  }, [[], []]);
  return { spectrum, difference };
}

const line = (name, width, dash) => ({ stroke: () => colour(name), width, dash, points: { show: false } });

function spectrumRange(u, low, high) {
  if (!words.finite(low) || !words.finite(high)) return [0, 1.4];
  if (!view.raw) return [Math.min(low, 0) - 0.05, Math.max(high, 1.3) + 0.05];
  const margin = 0.08 * (high - low) || 0.1;
  return [low - margin, high + margin];
}

function differenceRange(u, low, high) {
  const reach = Math.max(Math.abs(low) || 0, Math.abs(high) || 0, LEAST_DIFFERENCE);
  return [-1.1 * reach, 1.1 * reach];
}

// Where a scan that fills in has got to.
function drawEnd(u) {
  const last = u.data[1].findLastIndex((value) => words.finite(value));
  if (last < 0 || !at("spectrum").classList.contains("measuring")) return;
  const [x, y] = [u.valToPos(u.data[0][last], "x", true), u.valToPos(u.data[1][last], "y", true)];
  const { left, width } = u.bbox;
  if (x < left || x > left + width) return;
  u.ctx.save(); // The plot remembers the state it left.
  u.ctx.fillStyle = colour("sample");
  u.ctx.beginPath();
  u.ctx.arc(x, y, 4 * uPlot.pxRatio, 0, 2 * Math.PI);
  u.ctx.fill();
  u.ctx.restore();
}

// Where points were left out: a tick each, at the bottom.
function drawMasked(u) {
  const { left, top, width, height } = u.bbox;
  u.ctx.save();
  u.ctx.strokeStyle = colour("rejected");
  u.ctx.lineWidth = 2 * uPlot.pxRatio;
  u.ctx.beginPath();
  for (const x of masked.map((energy) => u.valToPos(energy, "x", true))) {
    if (x < left || x > left + width) continue;
    u.ctx.moveTo(x, top + height);
    u.ctx.lineTo(x, top + height - 10 * uPlot.pxRatio);
  }
  u.ctx.stroke();
  u.ctx.restore();
}

function drawZero(u) {
  const y = u.valToPos(0, "y", true);
  u.ctx.save();
  u.ctx.strokeStyle = colour("quiet");
  u.ctx.lineWidth = uPlot.pxRatio;
  u.ctx.beginPath();
  u.ctx.moveTo(u.bbox.left, y);
  u.ctx.lineTo(u.bbox.left + u.bbox.width, y);
  u.ctx.stroke();
  u.ctx.restore();
}

function readout(u) {
  const { idx } = u.cursor;
  const energy = u.data[0][idx];
  if (idx === null || !words.finite(energy)) return words.say(at("readout"), "");
  const parts = [`${energy.toFixed(1)} eV`];
  if (words.finite(u.data[1][idx])) parts.push(`μ ${u.data[1][idx].toPrecision(4)}`);
  if (words.finite(u.data[2]?.[idx])) parts.push(`reference ${u.data[2][idx].toPrecision(4)}`);
  words.say(at("readout"), parts.join(" · "));
}
