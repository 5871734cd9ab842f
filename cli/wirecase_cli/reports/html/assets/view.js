// The stretch of time that picture and windows show; whoever draws listens to it.
class View {
  constructor(span) {
    this.span = span;
    this.from = 0;
    this.to = span;
    this.parts = [];
    this.waiting = false;
  }

  get width() { return this.to - this.from; }

  /** Let a part draw itself whenever something changed, once its box is near the window; until then nothing is drawn. */
  show(box, draw) {
    const part = { draw, near: false, stale: true };
    this.parts.push(part);
    const look = new IntersectionObserver((seen) => {
      part.near = seen[seen.length - 1].isIntersecting;
      if (part.near && part.stale) this.changed(part);
    }, { rootMargin: "400px" });
    look.observe(box);
    new ResizeObserver(() => this.changed(part)).observe(box);
  }

  /** Draw all parts, near or not: for paper. */
  drawAll() { for (const part of this.parts) part.draw(); }

  set(from, to) {
    const least = Math.min(20, this.span);
    const width = Math.min(Math.max(to - from, least), this.span);
    from = Math.min(Math.max(from + (to - from - width) / 2, 0), this.span - width);
    this.from = from;
    this.to = from + width;
    this.changed();
  }

  changed(only) {
    for (const part of only ? [only] : this.parts) part.stale = true;
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      for (const part of this.parts) {
        if (!part.near || !part.stale) continue;
        part.stale = false;
        part.draw();
      }
    });
  }

  /** Make the stretch `factor` times as long, `at` (a time) staying where it is. */
  zoom(factor, at) {
    const place = at === undefined ? (this.from + this.to) / 2 : at;
    this.set(place - (place - this.from) * factor, place + (this.to - place) * factor);
  }

  pan(part) { this.move(this.width * part); }

  move(time) { this.set(this.from + time, this.to + time); }

  whole() { this.set(0, this.span); }

  /** Bring a time into sight. */
  reveal(time) {
    if (time < this.from || time > this.to) this.set(time - this.width / 2, time + this.width / 2);
  }

  /** Times at which the axis has a line, at most so many. */
  ticks(most) {
    const rough = Math.max(this.width / most, 1);
    const unit = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * unit).find((each) => each >= rough);
    const found = [];
    for (let at = Math.ceil(this.from / step) * step; at <= this.to; at += step) found.push(Math.round(at));
    return { found, step };
  }
}

function tickText(us, step) {
  return (us / 1e6).toFixed(Math.max(6 - Math.floor(Math.log10(step)), 0)) + " s";
}
