// Joins them: events go into the store, and each frame draws what changed since the last.

import * as head from "./head.js";
import { forgetColours } from "./plot.js";
import * as spectrum from "./spectrum.js";
import { Store } from "./store.js";
import { follow } from "./stream.js";
import * as table from "./table.js";
import * as trends from "./trends.js";

const at = (id) => document.getElementById(id);
const store = new Store();
let lostAt = null;
let asked = false;

function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    drawProfiles();
    head.draw(store, lostAt);
    spectrum.draw(store);
    trends.draw(store, pick);
    table.draw(store, pick);
    document.documentElement.dataset.drawn = store.newest?.seq ?? 0;
  });
}

function pick(seq) {
  store.chosen = seq;
  redraw();
}

function heard(name, data) {
  if (name === "open") store.partials.clear(); // What is still measured is sent again.
  else if (name === "result") store.addResult(data);
  else if (name === "partial") store.addPartial(data);
  else if (name === "status") store.setStatus(data);
  else if (name === "reset") store.clear();
  redraw();
}

function drawProfiles() {
  const names = store.profiles();
  const select = at("profile");
  at("profile-label").hidden = names.length < 2;
  if ([...select.options].slice(1).map((one) => one.value).join("\n") === names.join("\n")) return;
  select.replaceChildren(new Option("all", ""), ...names.map((name) => new Option(name, name)));
  if (!names.includes(store.profile)) store.profile = "";
  select.value = store.profile;
}

function onClick(id, act) {
  at(id).addEventListener("click", () => {
    act();
    redraw();
  });
}

onClick("back", () => store.step(-1));
onClick("forward", () => store.step(1));
onClick("live", () => (store.chosen = null));
onClick("range", spectrum.toggleRange);
at("spectrum").addEventListener("loaded", redraw);
at("profile").addEventListener("change", (event) => {
  store.profile = event.target.value;
  store.chosen = null;
  redraw();
});
addEventListener("keydown", (event) => {
  if (event.target.matches("select, input") || event.altKey || event.ctrlKey || event.metaKey) return;
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by && !event.target.matches(".scroll")) store.step(by);
  else if (event.key === "Escape") store.chosen = null;
  else return;
  redraw();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  forgetColours();
  spectrum.restyle();
  trends.restyle();
});
setInterval(redraw, 1000); // "3 s ago" ticks by itself.

const known = () => store.newest && { seq: store.newest.seq, id: store.newest.estimate.id };
follow(known, heard, (since) => {
  lostAt = since;
  redraw();
});
