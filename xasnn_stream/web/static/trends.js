// Descriptors over time: one plot each, points with their intervals; a click picks a result.

import { axis, colour, fill, uPlot, upright } from "./plot.js";
import * as words from "./words.js";

const MAX_PLOTS = 12;
const MAX_POINTS = 500;
const MANY = 150; // More points than this are drawn small, as squares: discs take long.
const AROUND_ONE_S = 30;
const EDGE = 7; // What lies beyond a plot is drawn at its edge, so many pixels inside.
const place = document.getElementById("trends");
let plots = new Map();
let rows = []; // The results all plots show, by time of measurement.
let drawn = {};
let chosen = null;

export function draw(store, pick) {
  const shown = store.shown();
  const seq = shown?.seq ?? null;
  const key = `${store.version} ${store.profile}`;
  if (drawn.key === key && chosen === seq) return;
  chosen = seq;
  if (drawn.key !== key) {
    rows = store.shownResults().filter((one) => !one.void).slice(-MAX_POINTS);
    rows.sort((a, b) => timeOf(a) - timeOf(b));
    build(store.descriptors(), pick);
    const times = rows.map(timeOf);
    for (const [name, { plot, heading, points }] of plots) {
      points.splice(0, points.length, ...rows.map((row, k) => pointOf(row, times[k], name)));
      plot.setData([times, points.map(({ value }) => value)]);
      caption(heading, name, rows.findLast((row) => row.estimate.descriptors[name]));
    }
  } else for (const { plot } of plots.values()) plot.redraw(false);
  drawn = { key };
}

export function restyle() {
  for (const { plot } of plots.values()) plot.redraw(false);
}

const timeOf = ({ estimate, published }) => estimate.time.end ?? estimate.time.start ?? published;

function pointOf({ seq, estimate }, time, name) {
  const { value, interval } = estimate.descriptors[name] ?? {};
  const whole = Array.isArray(interval) && interval.every(words.finite);
  return { seq, time, verdict: estimate.verdict, value: words.finite(value) ? value : null, bounds: whole ? interval : null };
}

function build(units, pick) {
  const names = [...units.keys()].slice(0, MAX_PLOTS);
  if (names.join("\n") === [...plots.keys()].join("\n")) return;
  for (const { plot } of plots.values()) plot.destroy();
  plots = new Map();
  place.replaceChildren();
  for (const [k, name] of names.entries()) {
    const heading = words.element("p", "trend-value");
    const head = words.element("header", "", words.element("h3", "", words.title(name, units.get(name))), heading);
    const spot = words.element("div", "plot");
    const last = k === names.length - 1; // It has the axis for all.
    place.append(words.element("figure", last ? "trend last" : "trend", head, spot));
    const points = [];
    plots.set(name, { heading, points, plot: trend({ spot, name, last, heading, points, pick }) });
  }
  if (units.size > MAX_PLOTS)
    place.append(words.element("p", "empty", `${units.size - MAX_PLOTS} more are in the table only.`));
}

function caption(heading, name, row) {
  const descriptor = row?.estimate.descriptors[name];
  words.say(heading, descriptor ? `${words.value(name, descriptor)} · scan ${words.scan(row.estimate.run)}` : "–");
}

function trend({ spot, name, last, heading, points, pick }) {
  const bare = { values: (u, ticks) => ticks.map(() => ""), size: 6 };
  const times = { size: 24, space: 70, values: (u, ticks, k, space, step) => ticks.map((t) => words.moment(t, step)) };
  const plot = fill(spot, {
    cursor: { sync: { key: "time", setSeries: false }, y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: { x: { time: true, range: timeRange }, y: { range: () => valueRange(points) } },
    axes: [axis(last ? times : bare), upright({ space: 22, values: (u, ticks) => ticks.map(words.tick) })],
    padding: [6, 8, last ? 0 : 2, 0],
    series: [{}, { paths: () => null, points: { show: false } }],
    hooks: {
      draw: [(u) => drawMarks(u, points)],
      setCursor: [(u) => caption(heading, name, rows[u.cursor.idx] ?? rows.findLast((row) => row.estimate.descriptors[name]))],
    },
  }, [[], []]);
  plot.over.addEventListener("click", () => {
    const row = rows[plot.cursor.idx];
    if (row) pick(row.seq);
  });
  return plot;
}

function timeRange(u, low, high) {
  if (!words.finite(low)) return [0, 1];
  const margin = low === high ? AROUND_ONE_S : 0.02 * (high - low);
  return [low - margin, high + margin];
}

// Room for every interval that may be believed; what is outside does not set the scale.
function valueRange(points) {
  let low = Infinity;
  let high = -Infinity;
  const valued = points.filter(({ value }) => value !== null);
  const believed = valued.filter(({ verdict }) => verdict !== "outside");
  for (const { value, bounds } of believed.length ? believed : valued) {
    low = Math.min(low, bounds?.[0] ?? value);
    high = Math.max(high, bounds?.[1] ?? value);
  }
  if (low > high) return [0, 1];
  const margin = 0.08 * (high - low) || 0.05 * Math.abs(high) || 1;
  return [low - margin, high + margin];
}

function drawMarks(u, points) {
  const { ctx, bbox } = u;
  const { pxRatio } = uPlot;
  const radius = pxRatio * (points.length > MANY ? 2 : 3);
  const [top, bottom] = [bbox.top + EDGE * pxRatio, bbox.top + bbox.height - EDGE * pxRatio];
  const height = (value) => Math.min(bottom, Math.max(top, u.valToPos(value, "y", true)));
  ctx.save();
  for (const { seq, time, verdict, value, bounds } of points) {
    const x = u.valToPos(time, "x", true);
    ctx.fillStyle = ctx.strokeStyle = colour(value === null ? "rejected" : verdict);
    ctx.lineWidth = 1.2 * pxRatio;
    if (value === null) {
      ctx.fillRect(x - radius / 4, bottom, radius / 2, EDGE * pxRatio);
      continue;
    }
    const y = height(value);
    if (bounds) drawInterval(ctx, x, height(bounds[1]), height(bounds[0]), radius / 2, verdict);
    drawMark(ctx, verdict, x, y, seq === chosen ? 5 * pxRatio : radius, points.length > MANY);
    if (seq === chosen) drawRing(ctx, x, y, 7 * pxRatio);
  }
  ctx.restore();
}

function drawInterval(ctx, x, top, bottom, width, verdict) {
  ctx.globalAlpha = verdict === "outside" ? 0.35 : 0.5;
  ctx.fillRect(x - width / 2, top, width, bottom - top);
  ctx.globalAlpha = 1;
}

function drawRing(ctx, x, y, r) {
  ctx.strokeStyle = colour("ink");
  ctx.beginPath();
  ctx.arc(x, y, r, 0, 2 * Math.PI);
  ctx.stroke();
}

// Shapes differ as well as colours: disc, triangle, empty diamond.
function drawMark(ctx, verdict, x, y, r, many) {
  if (many && verdict === "ok") return ctx.fillRect(x - r, y - r, 2 * r, 2 * r);
  ctx.beginPath();
  if (verdict === "caution") {
    ctx.moveTo(x, y - 1.3 * r);
    ctx.lineTo(x + 1.2 * r, y + r);
    ctx.lineTo(x - 1.2 * r, y + r);
    ctx.fill();
  } else if (verdict === "outside") {
    for (const [dx, dy] of [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]]) ctx.lineTo(x + dx * r, y + dy * r);
    ctx.closePath();
    ctx.stroke();
  } else {
    ctx.arc(x, y, r, 0, 2 * Math.PI);
    ctx.fill();
  }
}
