/* What renews itself waits while somebody has a part of it open. */
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.id === "live" && document.querySelector("#live details[open]")) event.preventDefault();
});
