// What the page knows: results by seq, what is being measured, how things are. All bounded.

const MAX_RESULTS = 1000;
const MAX_PARTIALS = 64;
const WITH_ARRAYS = 64;
const SILENT_S = 60;

const runOf = ({ estimate }) => JSON.stringify([estimate.provenance.profile, estimate.run.uid]);
const sweepOf = ({ estimate }) =>
  JSON.stringify([estimate.provenance.profile, estimate.run.uid, estimate.run.sweep]);

export class Store {
  constructor() {
    this.status = null;
    this.clockAhead = 0; // The daemon's clock minus this one's, s.
    this.chosen = null; // The seq of the result that was picked; null follows what is live.
    this.profile = ""; // Only results of this profile are shown; all when empty.
    this.clear();
  }

  clear() {
    this.results = [];
    this.partials = new Map();
    this.newest = null;
    this.finals = new Map();
    this.chosen = null;
    this.version = (this.version ?? 0) + 1; // Rises with every change of `results`.
  }

  addResult(delivery) {
    if (this.newest && delivery.seq <= this.newest.seq) return;
    const sweep = sweepOf(delivery);
    const before = this.finals.get(sweep);
    // The complete estimate of a recovered sweep voids the one with gaps.
    if (before && !before.estimate.run.complete && delivery.estimate.run.complete) before.void = true;
    this.finals.set(sweep, delivery);
    this.endPartial(delivery);
    this.results.push(delivery);
    this.newest = delivery;
    this.version += 1;
    if (this.results.length > MAX_RESULTS) this.forget(this.results.shift());
    const old = this.results[this.results.length - 1 - WITH_ARRAYS];
    if (old && old.seq !== this.chosen) delete old.arrays;
  }

  forget(delivery) {
    const sweep = sweepOf(delivery);
    if (this.finals.get(sweep) === delivery) this.finals.delete(sweep);
    if (this.chosen === delivery.seq) this.chosen = null;
  }

  // A run measures one sweep at a time: what is over takes along what was before it.
  endPartial(delivery) {
    const going = this.partials.get(runOf(delivery));
    if (going && going.estimate.run.sweep <= delivery.estimate.run.sweep)
      this.partials.delete(runOf(delivery));
  }

  addPartial(delivery) {
    if (this.finals.has(sweepOf(delivery))) return; // Overtaken by its own final estimate.
    this.partials.set(runOf(delivery), delivery);
    if (this.partials.size > MAX_PARTIALS) this.partials.delete(this.partials.keys().next().value);
  }

  setStatus(status) {
    this.status = status;
    this.clockAhead = status.now - Date.now() / 1000;
  }

  now() {
    return Date.now() / 1000 + this.clockAhead;
  }

  wanted(delivery) {
    return !this.profile || delivery.estimate.provenance.profile === this.profile;
  }

  shownResults() {
    return this.profile ? this.results.filter((one) => this.wanted(one)) : this.results;
  }

  profiles() {
    const names = new Set(Object.keys(this.status?.profiles ?? {}));
    for (const { estimate } of this.results) names.add(estimate.provenance.profile);
    return [...names].sort();
  }

  latest() {
    return this.results.findLast((one) => this.wanted(one)) ?? null;
  }

  // What is being measured; a run is kept until it ends, so that two do not alternate.
  measured() {
    const goesOn = (one) => one && this.wanted(one) && !this.abandoned(one);
    const current = this.partials.get(this.watched);
    if (goesOn(current)) return current;
    const found = [...this.partials.entries()].findLast(([, one]) => goesOn(one));
    this.watched = found?.[0];
    return found?.[1] ?? null;
  }

  // Whether others were finished since a sweep was last heard of.
  abandoned({ published }) {
    const latest = this.latest();
    return latest !== null && latest.published > published && this.now() - published > SILENT_S;
  }

  chosenResult() {
    return this.chosen === null ? null : this.results.find((one) => one.seq === this.chosen) ?? null;
  }

  // What the spectrum shows: what was picked, else what is measured, else the latest.
  shown() {
    return this.chosenResult() ?? this.measured() ?? this.latest();
  }

  step(by) {
    const shown = this.shownResults();
    const at = this.chosen === null ? shown.length - (this.measured() ? 0 : 1)
      : shown.findIndex((one) => one.seq === this.chosen);
    const next = at + by;
    if (next < 0) return;
    this.chosen = next >= shown.length ? null : shown[next].seq;
  }

  // Names and units of all descriptors shown.
  descriptors() {
    const key = `${this.version} ${this.profile}`;
    if (this.named?.key === key) return this.named.units;
    const units = new Map();
    for (const { estimate } of this.shownResults())
      for (const [name, { unit }] of Object.entries(estimate.descriptors))
        if (!units.has(name)) units.set(name, unit ?? "");
    this.named = { key, units };
    return units;
  }
}
