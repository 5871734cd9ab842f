// The lanes: drawn anew whenever the stretch of time changes, frames that would lie on each other drawn once.
const MOST_LINES = 8, AXIS = 34, HOP = 26, LANE = 34, RIGHT = 16, NEAR = 3, REACH = 9;

class Lanes {
  constructor(data, view) {
    this.data = data;
    this.view = view;
    this.texts = data.texts;
    this.chosen = null;
    this.lay();
    this.box = byId("lanes");
    this.box.hidden = false;
    for (const [name, value] of Object.entries({
      tabindex: "0", role: "application", "aria-roledescription": "picture of frames in time",
      "aria-label": this.summary(), "aria-describedby": "lanes-help readout",
    })) this.box.setAttribute(name, value);
    byId("lanes-help").hidden = byId("readout").hidden = false;
    drawKey(byId("lanes-key"));
    view.show(this.box, () => this.draw());
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.box.addEventListener("dblclick", (event) => this.view.zoom(1 / 3, this.time(event)));
    this.drag();
  }

  summary() {
    const lanes = this.lanes.length, frames = this.lanes.reduce((sum, { lane }) => sum + lane.seen, 0);
    const faults = this.faults.length ? ", " + count(this.faults.length, "fault mark") : "";
    return "Picture of the session: " + count(this.data.hops.length, "connection") + ", " + count(lanes, "lane") + ", " +
      count(frames, "frame") + " in " + lasting(this.view.span) + faults;
  }

  /** Put hops and lanes below each other, and list the frames that findings rest on. */
  lay() {
    this.lanes = [];
    this.hops = [];
    let y = 0;
    for (const hop of this.data.hops) {
      this.hops.push({ hop, y });
      y += HOP;
      for (const lane of hop.lanes) {
        this.lanes.push({ hop, lane, y });
        y += LANE;
      }
    }
    this.height = y + 6;
    this.faults = [];
    this.lanes.forEach(({ lane }, number) => lane.marks.found.forEach((found, mark) => {
      if (found) this.faults.push({ lane: number, mark });
    }));
    // In the order of the report; of one finding's frames the one at the fault itself first.
    const rank = new Map(this.data.faults.map((fault, place) => [fault.id, place]));
    for (const fault of this.faults) {
      const marks = this.lanes[fault.lane].lane.marks;
      const places = this.texts[marks.found[fault.mark]].split(" ").map((id) => rank.get(id) ?? Infinity);
      fault.rank = Math.min(...places);
      const at = this.data.faults[fault.rank]?.time ?? 0;
      fault.away = Math.abs(marks.time[fault.mark] - at);
    }
    this.faults.sort((a, b) => a.rank - b.rank || a.away - b.away);
  }

  place(time) { return this.left + (time - this.view.from) / this.view.width * this.plot; }

  time(event) {
    const x = event.clientX - this.box.getBoundingClientRect().left;
    return this.view.from + Math.min(Math.max((x - this.left) / this.plot, 0), 1) * this.view.width;
  }

  draw() {
    const width = this.box.clientWidth;
    if (!width) return;
    this.left = Math.min(190, width * 0.3);
    this.plot = Math.max(width - this.left - RIGHT, 50);
    const svg = shape("svg", { viewBox: `0 0 ${width} ${this.height}`, height: this.height, "aria-hidden": "true" });
    const top = shape("svg", { class: "top-axis", viewBox: `0 0 ${width} ${AXIS}`, height: AXIS, "aria-hidden": "true" });
    const clip = shape("clipPath", { id: "plot" });
    clip.append(shape("rect", { x: this.left - 8, y: 0, width: this.plot + 8 + RIGHT, height: this.height }));
    const plot = shape("g", { "clip-path": "url(#plot)" });
    const [axis, grid] = drawAxis(this.view, (time) => this.place(time), 14, 0, this.height, Math.max(this.plot / 110, 2));
    top.append(axis);
    svg.append(grid);
    for (const { hop, y } of this.hops) svg.append(this.drawHop(hop, y, width));
    for (const lane of this.lanes) {
      const [name, marks] = this.drawLane(lane, width);
      svg.append(name);
      plot.append(marks);
    }
    this.drawFaults(plot, axis);
    svg.append(clip, plot);
    this.box.replaceChildren(top, svg);
  }

  /** A line down the whole picture at each root cause. */
  drawFaults(plot, axis) {
    let labelled = -Infinity;
    for (const fault of this.data.faults.filter((one) => one.root && one.time !== null).slice(0, MOST_LINES)) {
      if (fault.time < this.view.from || fault.time > this.view.to) continue;
      const x = this.place(fault.time);
      plot.append(shape("line", { class: "fault-line", x1: x, x2: x, y1: 0, y2: this.height }));
      if (Math.abs(x - labelled) > 26) axis.append(shape("text", { class: "label", x, y: AXIS - 5, "text-anchor": "middle" }, fault.id));
      labelled = x;
    }
  }

  drawHop(hop, y, width) {
    const group = shape("g", { class: "hop" });
    group.append(shape("rect", { x: 0, y, width, height: HOP - 4 }));
    const shown = hop.lanes.length - 1;
    const more = hop.streams > shown ? ` — ${shown} of ${count(hop.streams, "stream")}` : "";
    group.append(shape("text", { x: 8, y: y + 15 }, this.texts[hop.name] + more));
    return group;
  }

  drawLane({ hop, lane, y }, width) {
    const middle = y + LANE / 2;
    const chosen = this.chosen && this.lanes[this.chosen.lane].lane === lane;
    const group = shape("g", { class: "lane" + (lane.named ? " named" : "") + (chosen ? " chosen" : "") });
    group.append(shape("rect", { class: "back", x: 0, y, width, height: LANE }));
    const narrow = this.left < 130;
    const name = lane.stream === 0 ? "connection" : (narrow ? "" : "stream ") + lane.stream + (lane.call === null || narrow ? "" : `, call ${lane.call}`);
    group.append(shape("text", { class: "name", x: 8, y: middle + (lane.found ? -1 : 4) }, name));
    if (lane.found) {
      const ids = this.texts[lane.found];
      const most = Math.floor(this.left / 6.5);
      group.append(shape("text", { x: 8, y: middle + 12 }, ids.length > most ? ids.slice(0, most - 1) + "…" : ids));
    }
    const drawn = shape("g", { class: "lane" });
    if (lane.begin !== null) {
      drawn.append(shape("line", { class: "life", x1: Math.max(this.place(lane.begin), this.left - 8), x2: Math.max(Math.min(this.place(lane.end), width), this.left - 8), y1: middle, y2: middle }));
    }
    this.drawMarks(lane, middle, drawn);
    return [group, drawn];
  }

  drawMarks(lane, middle, into) {
    const marks = lane.marks, last = {}, rings = [];
    let labelled = -Infinity;
    for (let i = 0; i < marks.time.length; i++) {
      const from = marks.time[i], to = from + marks.took[i];
      if (to < this.view.from - this.view.width * 0.02 || from > this.view.to) continue;
      const x = this.place(from), end = this.place(to), side = marks.side[i], name = this.texts[marks.name[i]];
      const y = middle + (side === 0 ? -7 : 7);
      const kind = side + glyphOf(name), found = marks.found[i];
      if (found || !(x - last[kind] < NEAR) || end - x > NEAR) {
        into.append(glyph(name, side, x, y, end - x));
        last[kind] = end;
      }
      if (found) {
        rings.push(shape("circle", { class: "ring " + this.texts[marks.severity[i]], cx: x, cy: y, r: 9 }));
        if (x - labelled > 34) {
          rings.push(shape("text", { class: "label " + this.texts[marks.severity[i]], x: x + 11, y: side === 0 ? middle - 6 : middle + 14 }, this.texts[found].split(" ")[0]));
          labelled = x;
        }
      }
    }
    into.append(...rings);
    if (this.chosen && this.lanes[this.chosen.lane].lane === lane) {
      const i = this.chosen.mark;
      into.append(shape("rect", { class: "choice", x: this.place(marks.time[i]) - 8, y: middle + (marks.side[i] === 0 ? -15 : -1), width: Math.max(this.place(marks.time[i] + marks.took[i]) - this.place(marks.time[i]), 0) + 16, height: 16, rx: 4 }));
    }
  }

  choose(lane, mark, reveal) {
    this.chosen = { lane, mark };
    const place = this.lanes[lane];
    byId("readout").textContent = this.say(place, mark);
    if (reveal) {
      this.view.reveal(place.lane.marks.time[mark]);
      const top = place.y, bottom = place.y + AXIS + LANE + 10;
      if (this.box.scrollTop > top) this.box.scrollTop = top;
      if (this.box.scrollTop + this.box.clientHeight < bottom) this.box.scrollTop = bottom - this.box.clientHeight;
    }
    this.view.changed();
  }

  say({ hop, lane }, i) {
    const marks = lane.marks, text = (column) => this.texts[marks[column][i]];
    const many = marks.count[i];
    const parts = [
      `${(marks.time[i] / 1e6).toFixed(6)} s`,
      `connection ${hop.conn}` + (lane.stream ? `, stream ${lane.stream}` : "") + (lane.call === null ? "" : `, call ${lane.call}`),
      `${marks.side[i] === 0 ? "client" : "server"} sent ${many > 1 ? grouped(many) + " × " : ""}${text("name")}` + (marks.size[i] ? `, ${count(marks.size[i], "byte")}` : "") + (many > 1 && marks.took[i] ? ` in ${lasting(marks.took[i])}` : ""),
    ];
    if (text("note")) parts.push(text("note"));
    parts.push(`packet ${marks.packet[i]}` + (marks.last[i] > marks.packet[i] ? ` to ${marks.last[i]}` : ""));
    if (text("found")) parts.push(`${text("found")}: ${text("proof") || "evidence"}`);
    return parts.join(" · ");
  }

  /** The frame of a lane that lies nearest to a time. */
  nearest(lane, time) {
    const times = this.lanes[lane].lane.marks.time;
    let best = -1;
    times.forEach((at, i) => { if (best < 0 || Math.abs(at - time) < Math.abs(times[best] - time)) best = i; });
    return best;
  }

  fault(step) {
    if (!this.faults.length) return false;
    const at = this.chosen ? this.faults.findIndex((one) => one.lane === this.chosen.lane && one.mark === this.chosen.mark) : -1;
    const next = this.faults[(at < 0 ? (step > 0 ? 0 : -1) : at + step + this.faults.length) % this.faults.length] || this.faults[this.faults.length - 1];
    this.choose(next.lane, next.mark, true);
    return true;
  }

  /** Zoom to the stream on which the fault lies. */
  toFault() {
    if (!this.fault(1)) return;
    const { lane } = this.lanes[this.chosen.lane];
    const at = lane.marks.time[this.chosen.mark];
    const [from, to] = lane.stream ? [lane.begin, lane.end] : [at - this.view.span * 0.02, at + this.view.span * 0.02];
    const edge = Math.max((to - from) * 0.08, 10);
    this.view.set(from - edge, to + edge);
  }

  step(by) {
    if (!this.chosen) return this.chooseFirst();
    const last = this.lanes[this.chosen.lane].lane.marks.time.length - 1;
    const mark = Math.min(Math.max(this.chosen.mark + by, 0), last);
    return this.choose(this.chosen.lane, mark, true);
  }

  climb(by) {
    if (!this.chosen) return this.chooseFirst();
    const time = this.lanes[this.chosen.lane].lane.marks.time[this.chosen.mark];
    for (let lane = this.chosen.lane + by; lane >= 0 && lane < this.lanes.length; lane += by) {
      const mark = this.nearest(lane, time);
      if (mark >= 0) return this.choose(lane, mark, true);
    }
    return undefined;
  }

  chooseFirst() {
    const lane = this.lanes.findIndex((one) => one.lane.marks.time.length);
    if (lane >= 0) this.choose(lane, 0, true);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const pan = event.shiftKey;
    const does = {
      ArrowRight: () => (pan ? this.view.pan(0.25) : this.step(1)),
      ArrowLeft: () => (pan ? this.view.pan(-0.25) : this.step(-1)),
      ArrowDown: () => this.climb(1),
      ArrowUp: () => this.climb(-1),
      Home: () => this.step(-Infinity),
      End: () => this.step(Infinity),
      "+": () => this.view.zoom(1 / 2, this.focusTime()),
      "=": () => this.view.zoom(1 / 2, this.focusTime()),
      "-": () => this.view.zoom(2, this.focusTime()),
      0: () => this.view.whole(),
      f: () => this.fault(1),
      F: () => this.fault(-1),
    }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  }

  /** The time to zoom around: the chosen frame while it is in sight. */
  focusTime() {
    if (!this.chosen) return undefined;
    const time = this.lanes[this.chosen.lane].lane.marks.time[this.chosen.mark];
    return time >= this.view.from && time <= this.view.to ? time : undefined;
  }

  wheel(event) {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.view.zoom(2 ** (event.deltaY / 200), this.time(event));
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      this.view.move((event.deltaX || event.deltaY) / this.plot * this.view.width);
    }
  }

  drag() {
    let start = null;
    this.box.addEventListener("pointerdown", (event) => {
      if (event.button === 0) start = { x: event.clientX, from: this.view.from, moved: false };
    });
    this.box.addEventListener("pointermove", (event) => {
      if (!start) return;
      const by = event.clientX - start.x;
      if (!start.moved && Math.abs(by) > 3) {
        start.moved = true;
        this.box.setPointerCapture(event.pointerId);
        this.box.classList.add("dragged");
      }
      if (start.moved) this.view.move(start.from - by / this.plot * this.view.width - this.view.from);
    });
    const end = (event) => {
      if (start && !start.moved && event.type === "pointerup") this.pick(event);
      start = null;
      this.box.classList.remove("dragged");
    };
    this.box.addEventListener("pointerup", end);
    this.box.addEventListener("pointercancel", end);
  }

  /** Choose the frame under the pointer. */
  pick(event) {
    const frame = this.box.getBoundingClientRect();
    const y = event.clientY - frame.top + this.box.scrollTop - AXIS, x = event.clientX - frame.left;
    const number = this.lanes.findIndex((one) => y >= one.y && y < one.y + LANE);
    if (number < 0) return;
    const { lane, y: top } = this.lanes[number];
    const side = y < top + LANE / 2 ? 0 : 1;
    let best = -1, least = REACH;
    lane.marks.time.forEach((time, i) => {
      const from = this.place(time), to = this.place(time + lane.marks.took[i]);
      const away = Math.max(from - x, x - to, 0) + (lane.marks.side[i] === side ? 0 : REACH / 2) - (lane.marks.found[i] ? 2 : 0);
      if (away < least) [best, least] = [i, away];
    });
    if (best >= 0) this.choose(number, best, false);
  }
}
