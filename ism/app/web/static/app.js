"use strict";
// The page works without this file; it says that work is under way, and keeps a second click from asking twice.
for (const form of document.querySelectorAll("form")) {
  const button = form.querySelector("button[data-busy]");
  if (!button) continue;
  const label = button.textContent;
  form.addEventListener("submit", () => {
    button.textContent = button.dataset.busy;
    button.setAttribute("aria-busy", "true");
    setTimeout(() => { button.disabled = true; });
  });
  // A page that comes back from the browser's cache must not come back busy.
  window.addEventListener("pageshow", () => {
    button.textContent = label;
    button.removeAttribute("aria-busy");
    button.disabled = false;
  });
}
const wrong = document.querySelector("[aria-invalid='true']");
if (wrong) wrong.focus();
