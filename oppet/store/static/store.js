// Says so when the page is not being renewed: the back room is away, or the network to it.
// Everything else on these pages works without a script.
(() => {
  const away = (gone) => { const said = document.getElementById("stale"); if (said && said.hidden === gone) said.hidden = !gone; };
  for (const trouble of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) document.addEventListener(trouble, () => away(true));
  document.addEventListener("htmx:afterSwap", () => away(false));
})();
