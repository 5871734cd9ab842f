// Windows over time: a step line for each, on the picture's time axis.
const CHART = 132, CHART_TOP = 20, CHART_BOTTOM = 8, CHART_LEFT = 62, CHART_RIGHT = 12, MOST_FIRST = 12, FEW = 4;

class Charts {
  constructor(data, view) {
    this.texts = data.texts;
    this.view = view;
    this.box = byId("charts");
    if (!data.series.length) return;
    this.box.hidden = false;
    const telling = (one) => one.found || one.stalls.length || one.violations.length || one.missing.length;
    const first = data.series.filter(telling).slice(0, MOST_FIRST);
    if (!first.length) first.push(...data.series.filter((one) => !one.stream).slice(0, FEW));
    this.waiting = data.series.filter((one) => !first.includes(one));
    this.more(first);
    byId("more-charts").addEventListener("click", () => this.more(this.waiting.splice(0)));
  }

  more(list) {
    for (const series of list) this.add(series);
    byId("charts-more").hidden = !this.waiting.length;
  }

  add(series) {
    const found = this.texts[series.found];
    const caption = element("figcaption", {}, this.texts[series.name] + " ");
    caption.append(element("span", { class: "muted" }, this.say(series)));
    for (const id of found.split(" ")) if (id) caption.append(" ", element("a", { href: "#" + id }, id));
    const frame = element("figure", { class: "chart" + (found ? " telling" : "") }, caption);
    const svg = shape("svg", { height: CHART, role: "img", "aria-label": this.texts[series.name] + ": " + this.say(series) });
    frame.append(svg);
    this.box.append(frame);
    this.view.show(frame, () => this.drawOne(series, svg));
  }

  say(series) {
    const known = series.value.filter((value) => value !== null);
    if (!known.length) return "not known";
    const parts = [`from ${grouped(known[0])} to ${grouped(known[known.length - 1])}, least ${grouped(Math.min(...known))} ${series.unit}`];
    if (series.stalls.length) parts.push(count(series.stalls.length, "time") + " at 0 or below");
    if (series.violations.length) parts.push(count(series.violations.length, "violation"));
    return parts.join("; ");
  }

  drawOne(series, svg) {
    const width = svg.clientWidth;
    if (!width) return;
    const view = this.view, plot = width - CHART_LEFT - CHART_RIGHT;
    const known = series.value.filter((value) => value !== null);
    const top = Math.max(...known, 1), low = Math.min(...known, 0);
    const x = (time) => CHART_LEFT + Math.min(Math.max((time - view.from) / view.width, 0), 1) * plot;
    const y = (value) => CHART_TOP + (top - value) / (top - low) * (CHART - CHART_TOP - CHART_BOTTOM);
    const inside = (from, to) => to >= view.from && from <= view.to;
    const group = shape("g", { class: "chart" });
    group.append(...drawAxis(view, x, 12, 16, CHART, Math.max(plot / 110, 2)));
    if (series.unknown !== null && inside(series.unknown, series.end)) {
      group.append(shape("rect", { class: "unknown", x: x(series.unknown), y: CHART_TOP, width: Math.max(x(series.end) - x(series.unknown), 1), height: CHART - CHART_TOP - CHART_BOTTOM }));
      group.append(shape("text", { x: x(series.unknown) + 4, y: CHART - 14 }, "not known"));
    }
    this.lines(series, x, y, inside, group);
    for (const [from, to, found] of series.stalls) {
      if (!inside(from, to)) continue;
      group.append(shape("rect", { class: "stall" + (found ? " telling" : ""), x: x(from), y: CHART_TOP, width: Math.max(x(to) - x(from), 2), height: CHART - CHART_TOP - CHART_BOTTOM, "fill-opacity": 0.55 }));
      if (found) group.append(shape("text", { class: "label", x: x(from) + 4, y: CHART_TOP + 12 }, this.texts[found] + " stalled"));
    }
    for (const [at, kind] of series.violations) {
      if (!inside(at, at)) continue;
      group.append(shape("path", { class: "broken", d: `M${x(at) - 5} ${CHART_TOP + 4}l10 10m0 -10l-10 10` }));
      group.append(shape("text", { class: "label", x: x(at) + 8, y: CHART_TOP + 12 }, { over: "over the window", overflow: "above 2^31-1", zero: "increment 0" }[this.texts[kind]]));
    }
    for (const [at, name] of series.missing) {
      if (inside(at, at)) group.append(shape("text", { class: "label", x: Math.min(x(at) + 4, width - 150), y: CHART - 14 }, this.texts[name] + " missing"));
    }
    for (const value of new Set([top, 0, low])) {
      group.append(shape("line", { class: value === 0 ? "zero" : "grid", x1: CHART_LEFT, x2: width - CHART_RIGHT, y1: y(value), y2: y(value) }));
      group.append(shape("text", { x: CHART_LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, short(value)));
    }
    svg.setAttribute("viewBox", `0 0 ${width} ${CHART}`);
    svg.replaceChildren(group);
  }

  /** The level: it holds from a point to the next; where it is not known there is no line. */
  lines(series, x, y, inside, group) {
    let line = "", area = "";
    const flush = () => {
      if (area) group.append(shape("path", { class: "area", d: area + "z" }), shape("path", { class: "level", d: line }));
      line = area = "";
    };
    for (let i = 0; i < series.time.length; i++) {
      const value = series.value[i], from = series.time[i], to = i + 1 < series.time.length ? series.time[i + 1] : series.end;
      if (value === null || !inside(from, to)) {
        flush();
        continue;
      }
      line += (line ? "L" : "M") + `${x(from)} ${y(value)}L${x(to)} ${y(value)}`;
      area += (area ? "" : `M${x(from)} ${y(0)}`) + `L${x(from)} ${y(value)}L${x(to)} ${y(value)}L${x(to)} ${y(0)}`;
    }
    flush();
  }
}

function short(value) {
  const size = Math.abs(value);
  for (const [unit, name] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) if (size >= unit) return (value / unit).toFixed(size >= unit * 100 ? 0 : 1) + name;
  return String(value);
}
