// How a frame looks: its shape tells its type, its place and colour who sent it.
const GLYPHS = {
  HEADERS: "block", PUSH_PROMISE: "block", CONTINUATION: "block", DATA: "data", RST_STREAM: "cross", RST: "cross",
  GOAWAY: "diamond", WINDOW_UPDATE: "triangle", SETTINGS: "circle", PING: "circle", gap: "gap",
  SYN: "bar", FIN: "bar", "zero window": "bar",
};
const KEY = [
  ["HEADERS", "HEADERS"], ["DATA", "DATA"], ["WINDOW_UPDATE", "WINDOW_UPDATE"], ["SETTINGS", "SETTINGS, PING"],
  ["RST_STREAM", "RST_STREAM, TCP RST"], ["GOAWAY", "GOAWAY"], ["FIN", "SYN, FIN, zero window"], ["gap", "not captured"],
  ["", "other frames"],
];

function glyphOf(name) { return GLYPHS[name] || "circle"; }

/** One frame at (x, y); `width` is how long a bundle of frames goes on. */
function glyph(name, side, x, y, width) {
  const from = side === 0 ? "from-client" : "from-server";
  const kind = glyphOf(name);
  const up = side === 0 ? 1 : -1;
  switch (kind) {
    case "block": return shape("rect", { class: "mark " + from, x: x - 3, y: y - 5, width: 6, height: 10 });
    case "data": return shape("rect", { class: "mark " + from, x: x - 1, y: y - 2.5, width: Math.max(width, 2), height: 5 });
    case "cross": return shape("path", { class: "mark cross " + from, d: `M${x - 5} ${y - 5}l10 10m0 -10l-10 10` });
    case "diamond": return shape("path", { class: "mark " + from, d: `M${x} ${y - 6}l6 6l-6 6l-6 -6z` });
    case "triangle": return shape("path", { class: "mark open " + from, d: `M${x - 4} ${y - 3 * up}h8l-4 ${7 * up}z` });
    case "bar": return shape("path", { class: "mark bar " + from, d: `M${x} ${y - 6}v12` });
    case "gap": return shape("rect", { class: "mark gap", x: x - 3, y: y - 5, width: Math.max(width, 6), height: 10 });
    default: return shape("circle", { class: "mark " + (GLYPHS[name] ? "open " : "") + from, cx: x, cy: y, r: 3.2 });
  }
}

function drawKey(list) {
  for (const [name, text] of KEY) {
    const small = shape("svg", { "aria-hidden": "true", viewBox: "0 0 18 16" });
    small.append(glyph(name, 1, 9, 8, 8));
    list.append(element("li", {}, small, text));
  }
  const ring = shape("svg", { "aria-hidden": "true", viewBox: "0 0 18 16" });
  ring.append(shape("circle", { class: "ring", cx: 9, cy: 8, r: 7 }));
  list.append(element("li", {}, ring, "evidence of a finding"));
  for (const [side, text] of [["from-client", "client sent (above the line)"], ["from-server", "server sent (below)"]]) {
    const swatch = shape("svg", { "aria-hidden": "true", viewBox: "0 0 18 16" });
    swatch.append(shape("rect", { class: "mark " + side, x: 2, y: 4, width: 14, height: 8 }));
    list.append(element("li", {}, swatch, text));
  }
  list.hidden = false;
}

/** The time axis: its times at height `y`, and its lines from `top` to `bottom`. */
function drawAxis(view, place, y, top, bottom, most) {
  const axis = shape("g", { class: "axis", "aria-hidden": "true" }), grid = axis.cloneNode();
  const { found, step } = view.ticks(most);
  for (const at of found) {
    const x = place(at);
    grid.append(shape("line", { x1: x, x2: x, y1: top, y2: bottom }));
    axis.append(shape("text", { x, y, "text-anchor": "middle" }, tickText(at, step)));
  }
  return [axis, grid];
}
