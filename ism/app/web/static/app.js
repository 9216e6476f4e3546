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
// What came of a match is told in place; without this file the answer is a page of its own.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-inline]")) return;
  event.preventDefault();
  const place = form.closest(".verdict");
  const buttons = [...form.querySelectorAll("button")];
  const body = new URLSearchParams(new FormData(form, event.submitter));
  buttons.forEach((button) => { button.disabled = true; });
  try {
    const response = await fetch(form.action, { method: "POST", body });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.querySelector(".verdict");
    if (!fresh) throw new Error(`answered ${response.status}`);
    const told = document.importNode(fresh, true);
    place.replaceWith(told);
    (told.querySelector(".told") || told.querySelector("button")).focus(); // the pressed button is gone
  } catch {
    HTMLFormElement.prototype.submit.call(form); // the browser shows what went wrong
  }
});
const wrong = document.querySelector("[aria-invalid='true']");
if (wrong) wrong.focus();

// The navigation unfolds where there is little room.
const menu = document.querySelector(".menu");
if (menu) {
  const show = (open) => {
    document.getElementById("side").classList.toggle("open", open);
    menu.setAttribute("aria-expanded", String(open));
  };
  menu.addEventListener("click", () => show(menu.getAttribute("aria-expanded") !== "true"));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.getAttribute("aria-expanded") === "true") { show(false); menu.focus(); }
  });
}

// Dark or light: the system's, until somebody chooses.
const theme = document.querySelector("[data-theme-switch]");
if (theme) {
  const root = document.documentElement;
  const isDark = () => getComputedStyle(document.body).colorScheme === "dark" || (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  const label = () => { theme.querySelector("span").textContent = isDark() ? "Light theme" : "Dark theme"; };
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("ism-theme", root.dataset.theme); } catch { /* kept for this page only */ }
    label();
    document.dispatchEvent(new Event("ism:theme"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { label(); document.dispatchEvent(new Event("ism:theme")); });
  label();
}

// An export menu, or the form of a time range, closes when the focus or a click goes elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(".export[open], .between[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector(".export[open], .between[open]");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
});

// A list that was answered has an address; to load the page again must not ask again.
const listed = document.querySelector("[data-address]");
if (listed) history.replaceState(null, "", listed.dataset.address + location.hash);
