/* What renews itself waits while somebody has a part of it open, and says so when head office no longer answers. */
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.id === "live" && document.querySelector("#live details[open]")) event.preventDefault();
});
(() => {
  const BEAT_MS = 4000;
  let deaf = false; // nothing answers at all
  let failed = false; // something answers, but not with figures
  const show = () => {
    const said = document.getElementById("stale");
    const made = document.querySelector("#live [data-made]");
    if (!said) return;
    if (made) document.getElementById("stale-from").textContent = made.dataset.made;
    if (said.hidden === (deaf || failed)) said.hidden = !(deaf || failed);
  };
  const beat = () => fetch("/static/icon.svg", { cache: "no-store", signal: AbortSignal.timeout(BEAT_MS - 500) })
    .then(() => { deaf = false; }, () => { deaf = true; }).then(show);
  document.addEventListener("htmx:sendError", () => { deaf = true; show(); });
  for (const trouble of ["htmx:timeout", "htmx:responseError"]) document.addEventListener(trouble, () => { failed = true; show(); });
  document.addEventListener("htmx:afterSwap", () => { deaf = failed = false; show(); });
  setInterval(() => { if (document.getElementById("stale")) beat(); }, BEAT_MS);
})();
