"use strict";
// Keeps the page true: the server says what changed, and panels that show it ask again. When the server falls silent
// the page says so instead of looking fresh.
(() => {
  const box = document.querySelector("[data-live]");
  const words = document.querySelector("[data-live-text]");
  if (!box || !window.EventSource) return;
  const SILENCE = 15000; // milliseconds; the server speaks every 5 s
  let last = Date.now();
  let failed = false;
  const show = (state, text) => {
    if (box.dataset.state === state && words.textContent === text) return;
    box.dataset.state = state;
    words.textContent = text;
  };
  const clock = () => new Date(last).toISOString().slice(11, 19);
  const look = () => {
    if (failed) show("reconnecting", `Reconnecting; as of ${clock()} UTC`);
    else if (Date.now() - last > SILENCE) show("stale", `Stale; as of ${clock()} UTC`);
    else show("live", "Live");
  };
  const heard = () => { last = Date.now(); failed = false; look(); };
  const redraw = (topics) => { for (const topic of topics) htmx.trigger(document.body, `ism:${topic}`); };
  const every = () => new Set([...document.querySelectorAll("[hx-trigger]")].flatMap((panel) => [...panel.getAttribute("hx-trigger").matchAll(/ism:(\w+)/g)].map((found) => found[1])));
  let source = null;
  const listen = () => {
    if (source) return;
    source = new EventSource("/api/stream");
    source.addEventListener("open", heard);
    source.addEventListener("beat", heard);
    source.addEventListener("change", (event) => { heard(); redraw(JSON.parse(event.data).topics); });
    source.addEventListener("error", () => { failed = true; look(); });
  };
  const rest = () => { if (source) source.close(); source = null; };
  // A page that nobody sees lets its connection go: a browser has only six for all its pages of one server.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) rest();
    else { listen(); redraw(every()); }
  });
  addEventListener("pagehide", rest);
  addEventListener("pageshow", (event) => { if (event.persisted) { listen(); redraw(every()); } });
  setInterval(() => { if (!document.hidden) look(); }, 1000);
  if (!document.hidden) listen();

  // A panel in use (an open form, a menu, a field with the focus) is not drawn again under one's hands: neither when the
  // news comes nor when an answer asked for earlier arrives; it is drawn when it is let go.
  const inUse = (panel) => panel.querySelector(".confirm[open], .export[open]") || (panel.contains(document.activeElement) && document.activeElement.matches("input, select, textarea"));
  const owed = new Set();
  const release = () => setTimeout(() => {
    for (const id of [...owed]) {
      const panel = document.getElementById(id);
      if (panel && inUse(panel)) continue;
      owed.delete(id);
      if (panel) htmx.ajax("GET", panel.getAttribute("hx-get"), { source: panel, target: panel, swap: "outerHTML" });
    }
  });
  document.body.addEventListener("focusout", release);
  document.addEventListener("toggle", release, true);
  document.body.addEventListener("htmx:beforeRequest", (event) => {
    const panel = event.detail.elt;
    if (!inUse(panel)) return;
    event.preventDefault();
    owed.add(panel.id);
  });

  // A panel that is drawn again keeps what was unfolded in it, and where the focus was.
  let kept = null;
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    const panel = event.detail.target;
    if (inUse(panel)) {
      event.detail.shouldSwap = false;
      owed.add(panel.id);
      return;
    }
    const open = [...panel.querySelectorAll("details[open][id]")].map((each) => each.id);
    const held = panel.contains(document.activeElement) ? document.activeElement : null;
    kept = { open, summary: held && held.closest("summary") ? held.closest("details").id : null };
  });
  document.body.addEventListener("htmx:afterSwap", () => {
    if (!kept) return;
    for (const id of kept.open) { const found = document.getElementById(id); if (found) found.open = true; }
    const held = kept.summary && document.getElementById(kept.summary);
    if (held) held.querySelector("summary").focus();
    kept = null;
  });
})();
