// Puts the parts to work. The page is readable before, and stays so if something here fails.
(function () {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const theme = byId("theme");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const tell = () => theme.setAttribute("aria-pressed", dark());
  theme.hidden = false;
  theme.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("wirecase-theme", root.dataset.theme); } catch (refused) { /* chosen for this visit */ }
    tell();
  });
  system.addEventListener("change", tell);
  tell();

  const data = JSON.parse(byId("data").textContent);
  if (data.calls.count) new Calls(data.calls);
  if (data.picture) {
    const view = new View(data.picture.span);
    const lanes = new Lanes(data.picture, view);
    new Charts(data.picture, view);
    const does = {
      in: () => view.zoom(1 / 2, lanes.focusTime()), out: () => view.zoom(2, lanes.focusTime()), left: () => view.pan(-0.25),
      right: () => view.pan(0.25), whole: () => view.whole(), fault: () => lanes.toFault(),
    };
    for (const bar of document.querySelectorAll("[data-toolbar]")) {
      bar.hidden = false;
      bar.addEventListener("click", (event) => {
        const button = event.target.closest("button");
        if (button) does[button.dataset.view]();
      });
    }
    addEventListener("beforeprint", () => view.drawAll());
  }

  addEventListener("hashchange", unfold);
  unfold();
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of opened) each.open = false; });
  root.dataset.ready = "";
})();
