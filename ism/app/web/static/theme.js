"use strict";
// Runs before the first paint: the theme that was chosen on this device, and a mark that scripts run.
document.documentElement.classList.add("js");
try {
  const theme = localStorage.getItem("ism-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* storage may be forbidden; then the system's scheme holds */ }
