// What all plots share: colours of the page, one look, and a size that follows their place.

import uPlot from "./uplot/uPlot.esm.js";

let colours = new Map(); // Asked for thousands of times a second, and slow to read.

export function colour(name) {
  if (!colours.has(name))
    colours.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  return colours.get(name);
}

export const forgetColours = () => colours.clear();

const FONT = "12px system-ui, sans-serif";
const AXIS_WIDTH = 56; // The same for all, so that plots above each other line up.

export function axis(options) {
  return {
    stroke: () => colour("quiet"),
    font: FONT,
    labelFont: FONT,
    grid: { stroke: () => colour("line"), width: 1 },
    ticks: { stroke: () => colour("line"), width: 1, size: 4 },
    ...options,
  };
}

export const upright = (options) => axis({ size: AXIS_WIDTH, ...options });

// A plot that fills `place`, whose height the style sheet sets before anything is drawn.
export function fill(place, options, data) {
  const size = () => ({ width: place.clientWidth, height: place.clientHeight });
  const plot = new uPlot({ ...size(), legend: { show: false }, ...options }, data, place);
  const watch = new ResizeObserver(() => plot.setSize(size()));
  watch.observe(place);
  plot.hooks.destroy = [...(plot.hooks.destroy ?? []), () => watch.disconnect()];
  return plot;
}

export { uPlot };
