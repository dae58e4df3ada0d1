// The picture: what is drawn over it, and what a pointer does on it.

import { $, announce, clamp, make } from "./dom.js";

const FRESH = 1600; // ms that the reticle stays bright
const HOLD = 350; // ms that a finger rests before the original is shown
const AIM = 0.02; // of the picture's width, for an arrow key

export class Stage {
  #connection;
  #canvas = $("canvas");
  #context = $("canvas").getContext("bitmaprenderer", { alpha: false });
  #picture = $("picture");
  #reticle = $("reticle");
  #state = null;
  #readout = {};
  #aim = null;
  #fading = 0;
  #wheel = { focus: 0, f_number: 0 };
  #holding = 0;
  #peeking = false;

  constructor(connection) {
    this.#connection = connection;
    connection.addEventListener("picture", ({ detail }) => this.#draw(detail));
    new ResizeObserver(() => this.#place()).observe(this.#picture);
    this.#picture.addEventListener("click", (event) => this.#click(event, "point"));
    this.#picture.addEventListener("dblclick", (event) => this.#click(event, "follow"));
    this.#picture.addEventListener("wheel", (event) => this.#turn(event), { passive: false });
    this.#picture.addEventListener("pointerdown", (event) => this.#hold(event));
    this.#picture.addEventListener("contextmenu", (event) => this.#peeking && event.preventDefault());
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
      this.#picture.addEventListener(name, () => this.#release());
    }
    this.#picture.addEventListener("keydown", (event) => this.#key(event));
    this.#picture.addEventListener("blur", () => { this.#aim = null; this.#mark(); });
  }

  /** Focus there; x and y are 0..1 of the picture. */
  focus(mode, x, y) {
    if (mode === "follow" && !this.#state?.modes.includes("follow")) return;
    if (mode === "point" && this.#state?.focus.mode === "face") mode = "face";
    this.#connection.send({ type: "focus", mode, x, y });
  }

  showState(state) {
    const moved = this.#state && state.focus_version !== this.#state.focus_version;
    this.#state = state;
    if (moved) {
      this.#aim = null;
      this.#freshen();
    }
    this.#mark();
  }

  showReadout(readout) {
    if (readout.tracking === "lost" && this.#readout.tracking !== "lost") {
      announce("Lost what was followed; the focus stays where it is");
    }
    this.#readout = readout;
    this.#mark();
    this.#markFaces(readout.faces ?? []);
  }

  #draw(picture) {
    const { width, height } = picture;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
      this.#place();
    }
    this.#context.transferFromImageBitmap(picture); // takes it, where drawing would copy it
  }

  /** Where the picture lies within its element, in CSS pixels. */
  #area() {
    const { clientWidth, clientHeight } = this.#picture;
    const scale = Math.min(clientWidth / this.#canvas.width, clientHeight / this.#canvas.height);
    const [width, height] = [this.#canvas.width * scale, this.#canvas.height * scale];
    return { left: (clientWidth - width) / 2, top: (clientHeight - height) / 2, width, height };
  }

  #place() {
    const overlay = $("overlay").style;
    for (const [name, value] of Object.entries(this.#area())) overlay[name] = `${value}px`;
  }

  /** A finger that rests on the picture is what the space bar is to a keyboard. */
  #hold(event) {
    if (event.pointerType !== "touch") return;
    this.#holding = setTimeout(() => {
      this.#peeking = true;
      this.#connection.send({ type: "peek", on: true });
    }, HOLD);
  }

  #release() {
    clearTimeout(this.#holding);
    if (!this.#peeking) return;
    this.#connection.send({ type: "peek", on: false });
    // The click that ends the hold comes after this, and is not one.
    setTimeout(() => { this.#peeking = false; }, 50);
  }

  #click(event, mode) {
    if (this.#peeking) return;
    const area = this.#area();
    const box = this.#picture.getBoundingClientRect();
    const x = (event.clientX - box.left - area.left) / area.width;
    const y = (event.clientY - box.top - area.top) / area.height;
    if (x >= 0 && x <= 1 && y >= 0 && y <= 1) this.focus(mode, x, y);
  }

  #turn(event) {
    if (event.ctrlKey) return; // the browser's zoom
    event.preventDefault();
    const name = event.shiftKey ? "f_number" : "focus";
    // Some systems turn a wheel with shift sideways.
    const delta = event.deltaY || event.deltaX;
    const lines = event.deltaMode === 1 ? delta * 33 : delta;
    this.#wheel[name] = clamp(this.#wheel[name] - lines / (name === "focus" ? 60 : 100), -20, 20);
    // An aperture has whole stops; the rest of a turn is kept for the next.
    const steps = name === "focus" ? this.#wheel.focus : Math.trunc(this.#wheel.f_number);
    if (steps === 0) return;
    this.#wheel[name] -= steps;
    this.#connection.send({ type: "nudge", name, steps });
  }

  #key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[event.key];
    if (step) {
      const { x, y } = this.#aim ?? this.#state?.focus ?? { x: 0.5, y: 0.5 };
      const far = event.shiftKey ? 5 : 1;
      this.#aim = {
        x: clamp(x + step[0] * AIM * far, 0, 1),
        y: clamp(y + step[1] * AIM * far, 0, 1),
      };
      this.#mark();
    } else if (event.key === "Enter") {
      const { x, y } = this.#aim ?? this.#state.focus;
      this.focus("point", x, y);
    } else if (event.key.toLowerCase() === "f" && !event.ctrlKey && !event.metaKey) {
      const { x, y } = this.#aim ?? this.#state.focus;
      this.focus("follow", x, y);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  #freshen() {
    clearTimeout(this.#fading);
    const { classList } = this.#reticle;
    classList.remove("fresh");
    void this.#reticle.offsetWidth; // lets the animation start again
    classList.add("fresh");
    this.#fading = setTimeout(() => {
      classList.remove("fresh");
      announce(`Focus ${this.#label()}`);
    }, FRESH);
  }

  #label() {
    const { plane, metres, tracking } = this.#readout;
    if (tracking === "lost") return "lost, holding";
    const depth = metres != null ? `${metres.toFixed(2)} m` : plane != null ? plane.toFixed(2) : "";
    if (this.#state?.focus.mode === "disparity") return depth ? `plane ${depth}` : "plane";
    return depth;
  }

  #mark() {
    if (!this.#state) return;
    const { mode } = this.#state.focus;
    const tracked = mode === "follow" && this.#readout.place;
    const [x, y] = this.#aim
      ? [this.#aim.x, this.#aim.y]
      : (tracked || [this.#state.focus.x, this.#state.focus.y]);
    const { classList, style } = this.#reticle;
    this.#reticle.hidden = mode === "face" && !this.#aim;
    style.left = `${x * 100}%`;
    style.top = `${y * 100}%`;
    classList.toggle("above", y > 0.82);
    classList.toggle("follow", mode === "follow");
    classList.toggle("lost", this.#readout.tracking === "lost");
    classList.toggle("aiming", this.#aim !== null);
    const text = this.#aim ? "Enter to focus" : this.#label();
    if ($("reticle-label").textContent !== text) $("reticle-label").textContent = text;
    $("reticle-label").hidden = !text;
  }

  #markFaces(faces) {
    const boxes = faces.map((face) => {
      const box = make("div", { class: face.focused ? "face focused" : "face" });
      for (const [name, value] of [["left", face.x], ["top", face.y]]) box.style[name] = `${value * 100}%`;
      box.style.width = `${face.width * 100}%`;
      box.style.height = `${face.height * 100}%`;
      return box;
    });
    $("faces").replaceChildren(...boxes);
  }
}
