// How much of the picture lies how far away, with the plane of focus and what stays sharp around it.

import { $, clamp } from "./dom.js";

export class Histogram {
  #connection;
  #box = $("histogram");
  #canvas = $("bins");
  #bins = [];
  #range = 0;
  #plane = null;
  #dragged = false;

  constructor(connection) {
    this.#connection = connection;
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
    this.#box.addEventListener("pointerdown", (event) => {
      this.#dragged = true;
      this.#box.setPointerCapture(event.pointerId);
      this.#move(event);
    });
    this.#box.addEventListener("pointermove", (event) => this.#dragged && this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) {
      this.#box.addEventListener(name, () => { this.#dragged = false; });
    }
    this.#box.addEventListener("keydown", (event) => this.#key(event));
  }

  showBins({ bins }) {
    this.#bins = bins;
    this.#draw();
  }

  showState({ focus_range }) {
    this.#range = focus_range;
    this.#mark();
  }

  showReadout({ plane, metres }) {
    if (!this.#dragged) this.#plane = plane;
    this.#mark();
    const text = metres != null ? `${metres.toFixed(2)} m` : plane != null ? plane.toFixed(2) : "–";
    if ($("focus-text").textContent !== text) $("focus-text").textContent = text;
  }

  #move(event) {
    const box = this.#box.getBoundingClientRect();
    const value = clamp((event.clientX - box.left) / box.width, 0, 1);
    this.#plane = value;
    this.#mark();
    this.#connection.sendSoon("plane", { type: "focus", mode: "disparity", value });
  }

  #key(event) {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 10, PageDown: -10 };
    const value = { Home: 0, End: 1 }[event.key];
    if (event.key in steps) {
      this.#connection.send({ type: "nudge", name: "focus", steps: steps[event.key] });
    } else if (value !== undefined) {
      this.#connection.send({ type: "focus", mode: "disparity", value });
    } else {
      return;
    }
    event.preventDefault();
  }

  #mark() {
    const known = this.#plane != null;
    $("plane").hidden = !known;
    $("band").hidden = !known || this.#range === 0;
    if (!known) return;
    $("plane").style.left = `${clamp(this.#plane, 0, 1) * 100}%`;
    $("band").style.left = `${(this.#plane - this.#range / 2) * 100}%`;
    $("band").style.width = `${this.#range * 100}%`;
    this.#box.setAttribute("aria-valuenow", this.#plane.toFixed(2));
  }

  #draw() {
    const ratio = devicePixelRatio;
    const [width, height] = [this.#canvas.clientWidth * ratio, this.#canvas.clientHeight * ratio];
    this.#canvas.width = width;
    this.#canvas.height = height;
    const context = this.#canvas.getContext("2d");
    // The square root keeps a large wall from flattening everything else.
    const heights = this.#bins.map((count) => Math.sqrt(Math.max(count ?? 0, 0)));
    const largest = Math.max(...heights, 1e-9);
    const step = width / Math.max(heights.length, 1);
    context.fillStyle = getComputedStyle(this.#canvas).color;
    heights.forEach((value, i) => {
      const tall = (value / largest) * height;
      context.fillRect(i * step, height - tall, Math.max(step - ratio * 0.75, 1), tall);
    });
  }
}
