// The customer's window: shows what the till tells it, and asks for nothing.
"use strict";
(() => {
  const source = new EventSource("/display/events");
  source.addEventListener("basket", (event) => { document.getElementById("shown").innerHTML = event.data; });
})();
