// Runs before anything is drawn: the theme that the reader chose last, if any.
(function () {
  "use strict";
  try {
    const chosen = localStorage.getItem("wirecase-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch (refused) { /* no storage for local files: the system's theme it is */ }
})();
