// The till's keys, scanner and focus. A scanner is a keyboard: characters less than 35 ms apart and then Enter or Tab. What it types
// belongs to the scan field wherever the focus is, and is never a command. Codes wait in a queue and go to the till one by one.
"use strict";
(() => {
  const GAP_MS = 35;
  const SHORTEST_BURST = 4;
  const LONGEST = 2000;
  const GS = "\x1d";
  const byId = (id) => document.getElementById(id);
  const scan = byId("scan");
  const body = document.body;

  // --- words from us, not from the till

  function tell(text) {
    const message = document.createElement("p");
    message.className = "message refused";
    message.textContent = text;
    const live = dialog() ? dialog().querySelector(".message") || dialog().querySelector("h2") : byId("message");
    if (live.id === "message") live.replaceChildren(message);
    else { const old = dialog().querySelector(".message"); if (old) old.remove(); dialog().querySelector("h2").after(message); }
  }
  const dialog = () => document.querySelector("dialog[open]");

  // --- scans, one after another

  const waiting = [];
  let busy = false;

  function send(text) {
    if (text.length > LONGEST) { tell(body.dataset.tooLong); return; }
    if (text.trim() === "") return;
    waiting.push(text);
    pump();
  }

  function pump() {
    if (busy || waiting.length === 0) return;
    busy = true;
    const text = waiting.shift();
    htmx.ajax("POST", "/do/scan", { source: byId("scan-form"), swap: "none", values: { text } })
      .finally(() => { busy = false; pump(); });
  }

  if (scan) {
    byId("scan-form").addEventListener("submit", (event) => { event.preventDefault(); take(); });
    scan.addEventListener("paste", (event) => {
      const text = event.clipboardData.getData("text");
      if (text.length > LONGEST) { event.preventDefault(); tell(body.dataset.tooLong); }
    });
  }

  function take() {
    const text = scan.value;
    if (/[*x×]\s*$/.test(text) && /^\s*[0-9]/.test(text)) return; // "3*" waits for its code
    scan.value = "";
    send(text);
  }

  // --- the scanner, told from a person by its pace

  let burst = "";
  let before = 0;
  let origin = null; // the field a burst began in, and what stood in it

  function forget() { burst = ""; origin = null; }

  document.addEventListener("keydown", (event) => {
    const fast = event.timeStamp - before < GAP_MS;
    before = event.timeStamp;
    const separator = isSeparator(event);
    if (!fast && burst) forget();
    if ((event.key === "Enter" || event.key === "Tab") && fast && burst.length >= SHORTEST_BURST) { scanned(event); return; }
    if (separator || (event.key.length === 1 && !event.ctrlKey && !event.altKey && !event.metaKey)) {
      if (!burst) origin = { field: event.target, value: event.target.value };
      burst += separator ? GS : event.key;
      if (separator) { event.preventDefault(); if (event.target === scan) insert(scan, GS); return; }
      if (!isField(event.target) && scan && !dialog()) {
        if (event.key === " " && event.target.closest("button, a")) return; // a space presses the button it is on
        event.preventDefault(); scan.focus(); insert(scan, event.key);
        origin = { field: scan, value: "" };
      }
      return;
    }
    if (!fast) shortcut(event);
  }, true);

  // A scanner sends the group separator as Ctrl+] (its place on a US keyboard), as itself, or as F8 inside a code.
  function isSeparator(event) {
    if (event.key === GS) return true;
    if (event.ctrlKey && (event.key === "]" || event.code === "BracketRight" || event.key === "å")) return true;
    return event.key === "F8" && burst.length >= SHORTEST_BURST && event.timeStamp - before < GAP_MS;
  }

  function scanned(event) {
    const field = origin && origin.field;
    const code = burst;
    if (field && field.dataset && "scan" in field.dataset) { // a field that waits for a code: on to the next one, or send
      if (event.key === "Enter") { const next = nextField(field); if (next) { event.preventDefault(); event.stopPropagation(); next.focus(); } }
      forget();
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    if (field === scan) { forget(); take(); return; }
    if (field && isField(field)) field.value = origin.value; // what was typed there was not meant for it
    forget();
    if (dialog()) { tell(body.dataset.blocked); return; }
    if (scan) send(code);
  }

  function nextField(field) {
    const fields = [...field.form.querySelectorAll("input:not([type=hidden])")];
    return fields.slice(fields.indexOf(field) + 1).find((other) => other.required && !other.value);
  }

  const isField = (element) => element && element.matches && element.matches("input:not([type=radio]), textarea, select");

  function insert(field, text) {
    const start = field.selectionStart === null ? field.value.length : field.selectionStart;
    field.setRangeText(text, start, field.selectionEnd === null ? start : field.selectionEnd, "end");
  }

  // --- keys of people

  function shortcut(event) {
    if (event.repeat) return;
    if (event.key === "F2" && scan && !dialog()) { event.preventDefault(); scan.focus(); scan.select(); return; }
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && !dialog() && (event.target === scan || event.target.matches(".goods"))) {
      event.preventDefault(); step(event.key === "ArrowDown" ? 1 : -1); return;
    }
    if (event.key === "Enter" && event.target.matches && event.target.matches("[data-scan]")) {
      const next = nextField(event.target);
      if (next) { event.preventDefault(); next.focus(); return; }
    }
    if (!/^(F\d+|Escape)$/.test(event.key)) return;
    if (dialog()) return; // Escape is the dialog's own
    const button = [...document.querySelectorAll(`[data-key="${event.key}"]`)].pop();
    if (button) { event.preventDefault(); button.click(); } else if (event.key === "Escape" && scan) { scan.value = ""; scan.focus(); }
  }

  function step(way) {
    const lines = [...document.querySelectorAll("button.goods")];
    if (lines.length === 0) return;
    const at = lines.indexOf(document.activeElement);
    const next = at < 0 ? (way < 0 ? lines.length - 1 : 0) : at + way;
    if (next < 0 || next >= lines.length) scan.focus(); else lines[next].focus();
  }

  // --- touch

  let padTarget = null;
  document.addEventListener("focusin", (event) => { if (event.target.matches("[data-pad]")) padTarget = event.target; });
  document.addEventListener("pointerdown", (event) => { if (event.target.closest(".pad button")) event.preventDefault(); }); // keep the focus
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.type) type(button);
    else if (button.dataset.line) htmx.ajax("POST", "/do/ask", { source: button, swap: "none", values: { dialog_name: "line", line: button.dataset.line } });
    else if (button.dataset.give) { byId("given").value = button.dataset.give; byId("pay-form").requestSubmit(); }
    else if ("close" in button.dataset) closeDialog();
  });

  function type(button) {
    const scope = button.closest("form") || document;
    const field = padTarget && padTarget.isConnected && scope.contains(padTarget) ? padTarget : scope.querySelector("[data-pad]");
    if (!field) return;
    const what = button.dataset.type;
    if (document.activeElement !== field) field.focus();
    if (field.dataset.fresh) { field.value = ""; delete field.dataset.fresh; }
    if (what === "clear") field.value = "";
    else if (what === "back") field.value = field.value.slice(0, -1);
    else if (field.value.length < (field.maxLength > 0 ? field.maxLength : 20)) field.value += what;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-denomination]")) return;
    let sum = 0;
    for (const field of document.querySelectorAll("[data-denomination]")) {
      const pieces = /^\d{1,5}$/.test(field.value) ? Number(field.value) : 0;
      const kronor = pieces * Number(field.dataset.denomination) / 100;
      document.querySelector(`[data-of="${field.dataset.denomination}"]`).textContent = kronor.toLocaleString("sv-SE");
      sum += kronor;
    }
    byId("counted").textContent = sum.toLocaleString("sv-SE");
  });

  // --- after each answer: dialogs open, the newest line shows, the focus returns

  let pane = "";
  let count = 0;

  function settle() {
    const asked = document.querySelector("#dialog dialog");
    if (asked && !asked.open) {
      asked.addEventListener("cancel", (event) => { event.preventDefault(); closeDialog(); });
      asked.showModal();
      const first = asked.querySelector("[autofocus]");
      if (first) { first.focus(); if (first.select && first.value) { first.select(); first.dataset.fresh = "1"; } }
    }
    const list = byId("lines");
    if (list) {
      if (list.childElementCount > count || byId("message").childElementCount) { list.scrollTop = list.scrollHeight; if (list.lastElementChild) list.lastElementChild.scrollIntoView({ block: "nearest" }); }
      count = list.childElementCount;
    }
    if (asked || !scan) return;
    const wanted = document.querySelector("#pane [data-focus]");
    const now = wanted ? wanted.id || wanted.name : "";
    if (wanted && (now !== pane || document.activeElement === body)) { wanted.focus(); if (wanted.value) { wanted.select(); wanted.dataset.fresh = "1"; } }
    else if (!wanted && (pane !== "" || document.activeElement === body || !document.activeElement.isConnected || document.activeElement.closest(".deed"))) scan.focus();
    pane = now;
  }

  function closeDialog() {
    const asked = dialog();
    if (!asked) return;
    asked.close();
    if (byId("stamp")) htmx.ajax("POST", "/do/close", { source: byId("scan-form"), swap: "none" });
  }

  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.requestConfig.path !== "/status" || swapped) settle();
    swapped = false;
    count_seconds();
  });

  // --- what nobody here did: a payment moves on, and the till says that the page should look

  let swapped = false; // the pane changed under the cashier
  let typed = null;
  let asking = 0;
  let stale = false;

  // What somebody is typing stays when the pane is laid out anew.
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    if (event.detail.target.id !== "pane") return;
    swapped = true;
    typed = [...event.detail.target.querySelectorAll("input:not([type=hidden]):not([type=radio])")].filter((field) => field.value !== field.defaultValue)
      .map((field) => [field.id, field.value, field === document.activeElement]);
  });
  document.addEventListener("htmx:oobAfterSwap", (event) => {
    if (event.detail.target.id !== "pane" || !typed) return;
    for (const [id, value, held] of typed) {
      const field = id && byId(id);
      if (field && looking) { field.value = value; if (held) field.focus(); }
    }
    typed = null;
  });

  let looking = false; // the answer that is being put in was asked for by us, not by the cashier
  document.addEventListener("htmx:beforeRequest", () => { asking += 1; });
  document.addEventListener("htmx:beforeOnLoad", (event) => { looking = event.detail.requestConfig.path === "/status"; });
  document.addEventListener("htmx:afterRequest", () => { asking = Math.max(0, asking - 1); if (stale && asking === 0) look(); });

  function look() {
    stale = asking > 0; // a deed's answer is on its way, and brings the page up to date; then we look once more
    if (!stale) htmx.ajax("GET", "/status", { source: byId("status"), swap: "none" });
  }

  if (body.dataset.events) {
    const events = new EventSource(body.dataset.events);
    events.addEventListener("changed", look);
    window.addEventListener("pagehide", () => events.close());
  }

  // Seconds since a payment was asked for, by the till's clock.
  let ahead = 0; // how far this browser's clock is before the till's
  function count_seconds() {
    for (const told of document.querySelectorAll("[data-since]")) {
      told.textContent = String(Math.max(0, Math.floor((Date.now() - ahead - Number(told.dataset.since)) / 1000)));
    }
  }
  function set_clock() { const told = byId("now"); if (told) ahead = Date.now() - Number(told.value); }
  document.addEventListener("htmx:oobAfterSwap", (event) => { if (event.detail.target.id === "stamp") { set_clock(); count_seconds(); } });
  document.addEventListener("DOMContentLoaded", () => { set_clock(); count_seconds(); setInterval(count_seconds, 1000); });
  // While the till is silent its lights are what it said last: they are greyed until it answers again.
  function away(gone) {
    const strip = byId("status");
    const was = strip && strip.classList.contains("away");
    if (strip) strip.classList.toggle("away", gone);
    if (gone && run) return; // it was said already, and it is not for long
    if (gone) tell(body.dataset.away);
    else if (was) for (const said of document.querySelectorAll(".message.refused")) if (said.textContent === body.dataset.away) said.remove();
  }
  document.addEventListener("htmx:sendError", () => away(true));
  document.addEventListener("htmx:timeout", () => away(true));
  document.addEventListener("htmx:beforeOnLoad", () => away(false)); // an answer has come, whatever it says
  // A new release starts: the page waits for another run of the till than this one, and begins anew there.
  let run = "";
  function watch() {
    const told = document.querySelector("[data-switching]");
    if (told && !run) { run = told.dataset.switching; setTimeout(again, 500); }
  }
  function again() {
    fetch("/health", { cache: "no-store" }).then((answer) => answer.json())
      .then((health) => { if (String(health.runs) === run) setTimeout(again, 500); else location.replace("/"); })
      .catch(() => setTimeout(again, 500));
  }
  document.addEventListener("htmx:oobAfterSwap", (event) => { if (event.detail.target.id === "news") watch(); });
  // One press, one deed: a button whose answer is not here yet does nothing.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const form = event.target.closest("form");
    if (!form || form.id === "scan-form") return;
    if (form.dataset.asked) { event.preventDefault(); return; }
    form.dataset.asked = "1";
  });
  document.addEventListener("htmx:afterRequest", (event) => { const form = event.target.closest && event.target.closest("form"); if (form) delete form.dataset.asked; });
  document.addEventListener("DOMContentLoaded", () => { if (scan) scan.focus(); settle(); });
})();
