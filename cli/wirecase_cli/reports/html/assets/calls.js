// The table of calls: columns of numbers, an index of the rows that pass the filter, one page of them drawn.
class Calls {
  constructor(data) {
    this.data = data;
    this.texts = data.texts;
    this.lower = data.texts.map((text) => text.toLowerCase());
    this.order = { key: "call", down: false };
    this.page = 0;
    this.open = new Set();
    this.rows = this.all = Array.from({ length: data.count }, (_, row) => row);
    this.wire();
    // The rows that stand there are the first ones already: drawn anew when somebody comes near.
    const near = new IntersectionObserver((seen) => {
      if (!seen.some((one) => one.isIntersecting)) return;
      near.disconnect();
      this.update();
    }, { rootMargin: "400px" });
    near.observe(byId("calls"));
  }

  /** The value of a column in a row; a column with one value for all rows is written as that value. */
  at(name, row) {
    const column = this.data.columns[name];
    return Array.isArray(column) ? column[row] : column;
  }

  text(name, row) { return this.texts[this.at(name, row)]; }

  status(row) {
    const code = this.at("status", row);
    return code < 0 ? "none" : this.data.statuses[code];
  }

  tone(row) {
    const code = this.at("status", row);
    if (code === 0) return this.at("found", row) ? "odd" : "good";
    return code > 0 || this.at("found", row) ? "bad" : "odd";
  }

  wire() {
    for (const head of document.querySelectorAll("#table th[data-sort]")) {
      const button = element("button", { type: "button" }, head.textContent);
      button.addEventListener("click", () => this.sort(head.dataset.sort));
      head.replaceChildren(button);
    }
    this.options("status", Object.values(this.data.statuses).concat(this.has("status", -1) ? ["none"] : []));
    const named = new Set();
    for (const text of new Set([].concat(this.data.columns.found))) {
      for (const id of this.texts[text].split(" ")) if (id) named.add(id);
    }
    this.options("finding", [...named].sort((a, b) => a.slice(1) - b.slice(1)));
    const form = byId("filter");
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => this.filter()));
    form.addEventListener("change", () => this.filter());
    byId("search").addEventListener("input", () => this.filter());
    byId("pager").hidden = false;
    byId("pager").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) this.turn(button.dataset.page);
    });
    byId("per-page").addEventListener("change", () => { this.page = 0; this.draw(); });
    byId("rows").addEventListener("click", (event) => {
      const button = event.target.closest("button.more");
      if (button) this.unfold(Number(button.dataset.row));
    });
    for (const link of document.querySelectorAll("a[data-finding]")) {
      if (!named.has(link.dataset.finding)) continue;
      link.hidden = false;
      link.addEventListener("click", () => this.show(link.dataset.finding));
    }
  }

  has(name, value) {
    const column = this.data.columns[name];
    return Array.isArray(column) ? column.includes(value) : column === value;
  }

  options(id, values) {
    byId(id).append(...values.map((value) => element("option", { value }, value)));
  }

  show(finding) {
    byId("filter").reset();
    byId("finding").value = finding;
    this.filter();
  }

  sort(key) {
    this.order = { key, down: this.order.key === key && !this.order.down };
    this.update();
  }

  filter() {
    this.page = 0;
    this.update();
  }

  /** Say for a word of the search which rows it fits. Each distinct text is looked at once. */
  matcher(word) {
    const fits = this.lower.map((text) => text.includes(word));
    const statuses = new Map(Object.entries(this.data.statuses).map(([code, name]) => [Number(code), name.toLowerCase().includes(word)]));
    statuses.set(-1, "none".startsWith(word));
    const number = /^\d+$/.test(word) ? Number(word) : -1;
    const exact = /^f\d+$/.test(word);
    return (row) => {
      if (exact) return this.lower[this.at("found", row)].split(" ").includes(word);
      if (number >= 0 && (this.at("call", row) === number || this.at("stream", row) === number || this.at("packet", row) === number)) return true;
      return statuses.get(this.at("status", row)) || fits[this.at("path", row)] || fits[this.at("auth", row)] ||
        fits[this.at("client", row)] || fits[this.at("server", row)] || fits[this.at("how", row)] ||
        fits[this.at("type", row)] || fits[this.at("kind", row)];
    };
  }

  update() {
    const tests = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean).map((word) => this.matcher(word));
    const [outcome, status, finding] = ["outcome", "status", "finding"].map((id) => byId(id).value);
    if (outcome === "found") tests.push((row) => this.at("found", row) > 0);
    if (outcome === "failed") tests.push((row) => this.at("status", row) !== 0 && !this.at("open", row));
    if (outcome === "ok") tests.push((row) => this.at("status", row) === 0);
    if (outcome === "open") tests.push((row) => this.at("open", row) === 1);
    if (status) tests.push((row) => this.status(row) === status);
    if (finding) tests.push((row) => this.text("found", row).split(" ").includes(finding));
    this.rows = tests.length ? this.all.filter((row) => tests.every((test) => test(row))) : this.all.slice();
    this.arrange();
    this.draw();
  }

  /** Where each text stands in the order of the alphabet. */
  places() {
    const collator = new Intl.Collator("en", { numeric: true });
    const order = this.texts.map((_, text) => text).sort((a, b) => collator.compare(this.texts[a], this.texts[b]));
    const places = [];
    order.forEach((text, place) => { places[text] = place; });
    return places;
  }

  arrange() {
    const { key, down } = this.order;
    let by = (row) => this.at(key, row);
    if (key === "messages") by = (row) => this.at("ms", row) + this.at("mr", row);
    if (key === "bytes") by = (row) => this.at("bs", row) + this.at("br", row);
    if (["path", "how", "found"].includes(key)) {
      const places = this.places();
      by = (row) => places[this.at(key, row)];
    }
    if (key !== "call" || down) {  // by number is how they come
      const sign = down ? -1 : 1;
      const keys = new Map(this.rows.map((row) => [row, by(row)]));
      this.rows.sort((a, b) => sign * (keys.get(a) - keys.get(b)) || a - b);
    }
    for (const head of document.querySelectorAll("#table th[data-sort]")) {
      if (head.dataset.sort === key) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  turn(where) {
    const last = this.pages() - 1;
    this.page = { first: 0, previous: this.page - 1, next: this.page + 1, last }[where];
    this.page = Math.min(Math.max(this.page, 0), last);
    this.draw();
    byId("table").closest(".scroll").scrollIntoView({ block: "nearest" });
  }

  perPage() { return Number(byId("per-page").value); }

  pages() { return Math.max(Math.ceil(this.rows.length / this.perPage()), 1); }

  draw() {
    const size = this.perPage();
    const first = this.page * size;
    const part = this.rows.slice(first, first + size);
    const body = document.createDocumentFragment();
    for (const row of part) {
      body.append(this.row(row));
      if (this.open.has(row)) body.append(this.detail(row));
    }
    if (!part.length) body.append(element("tr", {}, element("td", { colspan: 9, class: "none" }, "No call fits.")));
    byId("rows").replaceChildren(body);
    const all = this.rows.length === this.data.count;
    byId("count").textContent = all ? count(this.data.count, "call") : grouped(this.rows.length) + " of " + count(this.data.count, "call");
    byId("shown").textContent = part.length ? grouped(first + 1) + "–" + grouped(first + part.length) + " of " + grouped(this.rows.length) : "none";
    for (const button of byId("pager").querySelectorAll("button")) {
      const back = ["first", "previous"].includes(button.dataset.page);
      button.disabled = back ? this.page === 0 : this.page >= this.pages() - 1;
    }
  }

  row(row) {
    const more = element("button", { type: "button", class: "more", "data-row": row, "aria-expanded": this.open.has(row), "aria-label": "Call " + this.at("call", row) + ", details" }, String(this.at("call", row)));
    const found = element("td");
    for (const id of this.text("found", row).split(" ")) if (id) found.append(element("a", { href: "#" + id }, id), " ");
    return element("tr", {},
      element("th", { scope: "row" }, more),
      element("td", { class: "n" }, this.clock(row)),
      element("td", { class: "n" }, this.duration(row)),
      element("td", {}, element("span", { class: "state " + this.tone(row) }, this.status(row))),
      element("td", { class: "path" }, ...this.path(row)),
      found,
      element("td", { class: "ended" }, this.text("how", row)),
      element("td", { class: "n" }, grouped(this.at("ms", row)) + " / " + grouped(this.at("mr", row))),
      element("td", { class: "n" }, grouped(this.at("bs", row)) + " / " + grouped(this.at("br", row))));
  }

  /** The path, with a place to break the line behind each slash. */
  path(row) {
    const parts = (this.text("path", row) || "(path not known)").split("/");
    return parts.flatMap((part, i) => (i > 1 ? ["/", element("wbr"), part] : [i ? "/" + part : part]));
  }

  clock(row) {
    const time = new Date(this.data.base + Math.floor(this.at("start", row) / 1000));
    return isNaN(time) ? "" : time.toISOString().slice(11, 23);
  }

  duration(row) {
    const tenths = Math.floor((this.at("took", row) + 50) / 100);
    return (this.at("open", row) ? ">" : "") + grouped(Math.floor(tenths / 10)) + "." + (tenths % 10) + " ms";
  }

  detail(row) {
    const facts = element("dl", { class: "facts" });
    const fact = (name, value) => { if (value) facts.append(element("dt", {}, name), element("dd", {}, value)); };
    const source = this.data.sources[this.at("source", row)] || "";
    fact("Connection", this.at("conn", row) + ", " + this.text("client", row) + " to " + this.text("server", row));
    fact("Stream", String(this.at("stream", row)));
    fact("Kind", this.text("kind", row));
    fact("Authority", this.text("auth", row));
    fact("HTTP status", String(this.at("http", row) || ""));
    fact("Content type", this.text("type", row));
    fact("First packet", this.at("packet", row) + (source ? " of " + source : ""));
    fact("Frame by frame", element("code", {}, "wirecase show --call " + this.at("call", row) + " " + (/^[\w./][\w./-]*$/.test(source) ? source : "CAPTURE")));
    return element("tr", { class: "detail" }, element("td", { colspan: 9 }, facts));
  }

  unfold(row) {
    if (!this.open.delete(row)) this.open.add(row);
    this.draw();
    byId("rows").querySelector('button.more[data-row="' + row + '"]').focus();
  }
}
