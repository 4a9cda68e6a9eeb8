// The connection to the daemon: one event stream that is opened again until it holds.

const RETRY_MS = [500, 1000, 2000, 3000];
const SILENCE_MS = 5000; // A status comes twice a second; a cable that was pulled says nothing.

// `known()` returns { seq, id } of the newest result held, or null. `heard(name, data)` gets
// every event; `state(since)` the time the connection was lost at, null when it stands.
export function follow(known, heard, state) {
  let source = null;
  let failures = 0;
  let lastHeard = 0;
  let lostAt = null;
  let timer = null;

  function open() {
    timer = null;
    const held = known();
    const query = held ? `?since=${held.seq}&id=${held.id}` : "";
    source = new EventSource(`api/stream${query}`);
    lastHeard = performance.now();
    source.onopen = () => heard("open", null);
    source.onerror = lost;
    for (const name of ["result", "partial", "status", "reset"]) {
      source.addEventListener(name, (event) => {
        lastHeard = performance.now();
        failures = 0;
        if (lostAt !== null) state((lostAt = null));
        heard(name, JSON.parse(event.data));
      });
    }
  }

  function lost() {
    source.close();
    if (timer !== null) return;
    if (lostAt === null) state((lostAt = Date.now()));
    timer = setTimeout(open, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
  }

  setInterval(() => {
    if (timer === null && performance.now() - lastHeard > SILENCE_MS) lost();
  }, 1000);
  open();
}
