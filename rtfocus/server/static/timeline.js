// For files: play, pause, seek, and the moments at which focus goes elsewhere.

import { $, announce, clamp, clockText, make, notice } from "./dom.js";
import { fill } from "./controls.js";

const THUMB = 8; // px, half the slider's thumb: where its track begins and ends
const STEP = 0.1; // s, for an arrow key on a keyframe
const AWAY = 40; // px above or below the timeline at which a dragged keyframe is deleted

export class Timeline {
  #connection;
  #state = null;
  #readout = {};
  #start = 0;
  #duration = 0;
  #time = 0;
  #held = 0;

  constructor(connection) {
    this.#connection = connection;
    $("play").addEventListener("click", () => this.toggle());
    $("add-keyframe").addEventListener("click", () => this.addKeyframe());
    $("seek").addEventListener("input", ({ target }) => {
      this.#held = performance.now();
      this.#showTime(target.valueAsNumber);
      connection.sendSoon("seek", { type: "seek", time: target.valueAsNumber });
    });
  }

  get #end() {
    return this.#start + Math.max(this.#duration, 0.01);
  }

  get shown() {
    return !$("transport").hidden;
  }

  showSource({ kind, start, duration }) {
    $("transport").hidden = kind !== "file";
    this.#start = start;
    this.#duration = duration;
    $("seek").min = start;
    $("seek").max = this.#end;
    for (const row of document.querySelectorAll(".for-files")) row.hidden = kind !== "file";
    this.#showTime(this.#time);
    this.#showKeyframes();
  }

  showState(state) {
    const before = this.#state;
    this.#state = state;
    $("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
    $("play").title = state.playing ? "Pause (P)" : "Play (P)";
    $("play-icon").setAttribute("d", state.playing ? "M7 4.500v11M13 4.500v11" : "M6.500 4v12l9-6z");
    if (JSON.stringify(before?.keyframes) !== JSON.stringify(state.keyframes)) this.#showKeyframes();
  }

  showReadout(readout) {
    this.#readout = readout;
    const { time } = readout;
    if (time != null && performance.now() - this.#held > 400) this.#showTime(time);
  }

  toggle() {
    // Shown at once: whoever presses twice means the second to undo the first.
    this.showState({ ...this.#state, playing: !this.#state.playing });
    this.#connection.send({ type: "set", playing: this.#state.playing });
  }

  addKeyframe() {
    const { f_number, easing } = this.#state;
    const keyframe = { time: this.#time, focus: this.#lastingFocus(), f_number, easing };
    this.#sendKeyframes([...this.#state.keyframes, keyframe]);
    notice(`Focus keyframe at ${this.#clock(this.#time, true)}`, { time: 1500 });
  }

  /** What is in focus now as a point or a plane, which mean the same whenever the file is played. */
  #lastingFocus() {
    const { mode, x, y, value } = this.#state.focus;
    const { place, plane } = this.#readout;
    if (mode === "point") return { mode, x, y };
    if (mode === "follow") return { mode: "point", x: place?.[0] ?? x, y: place?.[1] ?? y };
    return { mode: "disparity", value: plane ?? value ?? 0.5 };
  }

  #sendKeyframes(keyframes) {
    this.#connection.send({ type: "keyframes", keyframes });
  }

  /** A time as people read it: from the first frame, whatever the file counts from. */
  #clock(time, fine = false) {
    return clockText(Math.max(time - this.#start, 0), fine);
  }

  #showTime(time) {
    this.#time = time;
    const slider = $("seek");
    slider.value = time;
    fill(slider);
    const total = this.#duration ? ` / ${clockText(this.#duration)}` : "";
    const text = this.#clock(time) + total;
    if ($("clock").textContent !== text) {
      $("clock").textContent = text;
      slider.setAttribute("aria-valuetext", text);
    }
  }

  #showKeyframes() {
    const had = [...$("keyframes").children].indexOf(document.activeElement);
    const marks = (this.#state?.keyframes ?? []).map((keyframe, i) => this.#mark(keyframe, i));
    $("keyframes").replaceChildren(...marks);
    if (had >= 0) marks[Math.min(had, marks.length - 1)]?.focus();
  }

  #mark(keyframe, index) {
    const label = `Focus keyframe at ${this.#clock(keyframe.time, true)}`;
    const mark = make("button", { type: "button", class: "keyframe", "aria-label": label });
    mark.title = `${label}. Drag to move, Delete to remove`;
    const share = (time) => (time - this.#start) / (this.#end - this.#start);
    const place = (time) => { mark.style.left = `${100 * share(time)}%`; };
    place(keyframe.time);
    let drag = null;
    mark.addEventListener("pointerdown", (event) => {
      mark.setPointerCapture(event.pointerId);
      drag = { from: event.clientX, time: keyframe.time, moved: false, away: false };
    });
    mark.addEventListener("pointermove", (event) => {
      if (!drag) return;
      drag.moved ||= Math.abs(event.clientX - drag.from) > 3;
      const box = $("keyframes").getBoundingClientRect();
      drag.away = event.clientY < box.top - AWAY || event.clientY > box.bottom + AWAY;
      const shift = ((event.clientX - drag.from) / box.width) * this.#duration;
      drag.time = clamp(keyframe.time + shift, this.#start, this.#end);
      mark.classList.toggle("dragged", drag.moved);
      mark.classList.toggle("away", drag.away);
      if (drag.moved) place(drag.time);
    });
    mark.addEventListener("pointerup", () => {
      const done = drag;
      drag = null;
      if (done?.away) this.#remove(index);
      else if (done?.moved) this.#move(index, done.time);
      else this.#connection.send({ type: "seek", time: keyframe.time });
    });
    mark.addEventListener("pointercancel", () => { drag = null; place(keyframe.time); });
    mark.addEventListener("keydown", (event) => this.#key(event, keyframe, index));
    return mark;
  }

  #key(event, keyframe, index) {
    if (event.key === "Delete" || event.key === "Backspace") this.#remove(index);
    else if (event.key === "ArrowLeft") this.#move(index, keyframe.time - STEP);
    else if (event.key === "ArrowRight") this.#move(index, keyframe.time + STEP);
    else if (event.key === "Enter") this.#connection.send({ type: "seek", time: keyframe.time });
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #move(index, time) {
    const keyframes = this.#state.keyframes.map((keyframe, i) => (
      i === index ? { ...keyframe, time: clamp(time, this.#start, this.#end) } : keyframe
    ));
    this.#sendKeyframes(keyframes);
  }

  #remove(index) {
    this.#sendKeyframes(this.#state.keyframes.filter((_, i) => i !== index));
    announce("Keyframe deleted");
  }
}
