// Sliders, segments and presets of the panel. The server's state is the truth: what a user moves is
// sent, and every control shows what comes back, except the one that is being moved.

import { $, announce, make, notice } from "./dom.js";

const HELD = 500; // ms after the last movement that a control does not listen to the server

const F_NUMBERS = [
  1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3.2, 3.5, 4, 4.5, 5, 5.6, 6.3, 7.1, 8, 9, 10, 11, 13, 14, 16,
];
const BLADES = [0, 5, 6, 7, 8, 9];
const UNLIMITED = 15.5; // right end of the largest blur
const AUTO = -0.05; // left end of smoothing

const plain = { toSlider: (value) => value, fromSlider: (value) => value };

// field of the state: its slider, how value and slider go together, and how the value reads
const SLIDERS = {
  focus_range: { id: "focus-range", ...plain, text: (value) => (value ? value.toFixed(2) : "None") },
  rack_time: { id: "rack-time", ...plain, text: (value) => (value ? `${value.toFixed(1)} s` : "Cut") },
  blade_rotation: { id: "blade-rotation", ...plain, text: (value) => `${Math.round(value)}°` },
  highlights: { id: "highlights", ...plain, text: (value) => (value ? `${value.toFixed(1)}×` : "Off") },
  max_radius: {
    id: "max-radius",
    toSlider: (value) => value ?? UNLIMITED,
    fromSlider: (value) => (value >= UNLIMITED ? null : value),
    text: (value) => (value == null ? "No limit" : `${value} %`),
  },
  smooth: {
    id: "smooth",
    toSlider: (value) => value ?? AUTO,
    fromSlider: (value) => (value < 0 ? null : value),
    text: (value) => (value == null ? "Auto" : value.toFixed(2)),
  },
  depth_every: { id: "depth-every", ...plain, text: (value) => (value === 1 ? "frame" : `${value} frames`) },
  f_number: {
    id: "f-number",
    toSlider: (value) => nearestStop(value),
    fromSlider: (value) => F_NUMBERS[value],
    text: (value) => `f/${value}`,
    output: "f-number-text",
  },
};

function nearestStop(value) {
  const away = F_NUMBERS.map((stop) => Math.abs(Math.log(stop / value)));
  return away.indexOf(Math.min(...away));
}

/** How far a slider's track is filled. */
export function fill(slider) {
  const share = (slider.value - slider.min) / (slider.max - slider.min);
  slider.style.setProperty("--fill", `calc(8px + ${share} * (100% - 16px))`);
}

export class Controls {
  #connection;
  #state = null;
  #held = new Map();

  constructor(connection) {
    this.#connection = connection;
    for (const [name, slider] of Object.entries(SLIDERS)) this.#watchSlider(name, slider);
    drawBlades();
    this.#watchChoice("view", (value) => this.#set({ view: value }));
    this.#watchChoice("blades", (value) => this.#set({ blades: Number(value) }));
    this.#watchChoice("mode", (value) => this.#changeMode(value));
    $("easing").addEventListener("change", ({ target }) => this.#set({ easing: target.value }));
    $("save-preset").addEventListener("submit", (event) => this.#savePreset(event));
  }

  showState(state) {
    const before = this.#state;
    this.#state = state;
    for (const [name, slider] of Object.entries(SLIDERS)) this.#showSlider(name, slider);
    choose("view", state.peek ? "original" : state.view);
    choose("blades", String(state.blades));
    choose("mode", state.focus.mode === "distance" ? "disparity" : state.focus.mode);
    for (const input of document.getElementsByName("mode")) {
      input.closest("label").hidden = !state.modes.includes(input.value);
    }
    $("rotation-row").hidden = state.blades === 0;
    $("easing").value = state.easing;
    turnBlades(state.blade_rotation);
    if (!before || before.presets.join("\n") !== state.presets.join("\n") || before.preset !== state.preset) {
      this.#showPresets();
    }
    if (before && before.view !== state.view) announce(`View: ${state.view === "coc" ? "focus" : state.view}`);
  }

  #set(values) {
    this.#connection.send({ type: "set", ...values });
  }

  #watchSlider(name, { id, fromSlider, text, output }) {
    const slider = $(id);
    slider.addEventListener("input", () => {
      const value = fromSlider(slider.valueAsNumber);
      this.#held.set(name, performance.now());
      this.#write(slider, output, text(value));
      this.#connection.sendSoon(name, { type: "set", [name]: value });
    });
    // What the server made of it, once the user has let go.
    slider.addEventListener("change", () => setTimeout(() => {
      if (this.#state) this.#showSlider(name, SLIDERS[name]);
    }, HELD + 50));
  }

  #showSlider(name, { id, toSlider, text, output }) {
    if (performance.now() - (this.#held.get(name) ?? -HELD) < HELD) return;
    const slider = $(id);
    slider.value = toSlider(this.#state[name]);
    this.#write(slider, output, text(this.#state[name]));
  }

  #write(slider, output, text) {
    const place = output ? $(output) : slider.parentElement.querySelector("output");
    place.textContent = text;
    slider.setAttribute("aria-valuetext", text);
    fill(slider);
  }

  #watchChoice(name, act) {
    document.addEventListener("change", ({ target }) => {
      if (target.name === name && target.type === "radio") act(target.value);
    });
  }

  #changeMode(mode) {
    const { focus } = this.#state;
    // To hold the plane is to nudge it by nothing: it stays where it is now.
    if (mode === "disparity") this.#connection.send({ type: "nudge", name: "focus", steps: 0 });
    else this.#connection.send({ type: "focus", mode, x: focus.x, y: focus.y });
  }

  #savePreset(event) {
    event.preventDefault();
    const field = $("preset-name");
    if (!field.value.trim()) return;
    this.#connection.send({ type: "preset", action: "save", name: field.value });
    field.value = "";
    notice("Preset saved", { time: 1500 });
  }

  #showPresets() {
    const items = this.#state.presets.map((name) => {
      const chosen = name === this.#state.preset;
      const apply = make("button", { type: "button", "aria-pressed": chosen }, name);
      apply.addEventListener("click", () => this.#connection.send({ type: "preset", action: "apply", name }));
      const item = make("li", chosen ? { class: "chosen" } : {}, apply);
      if (chosen) {
        const remove = make("button", { type: "button", class: "delete", "aria-label": `Delete preset ${name}` }, "×");
        remove.addEventListener("click", () => this.#connection.send({ type: "preset", action: "delete", name }));
        item.append(remove);
      }
      return item;
    });
    $("presets").replaceChildren(...items);
  }
}

function choose(name, value) {
  for (const input of document.getElementsByName(name)) input.checked = input.value === value;
}

const SVG = "http://www.w3.org/2000/svg";

function drawBlades() {
  for (const count of BLADES) {
    const input = make("input", { type: "radio", name: "blades", value: count });
    input.setAttribute("aria-label", count ? `${count} blades` : "Round");
    const drawing = document.createElementNS(SVG, "svg");
    drawing.setAttribute("viewBox", "0 0 20 20");
    drawing.setAttribute("aria-hidden", "true");
    const shape = document.createElementNS(SVG, count ? "polygon" : "circle");
    if (count) {
      shape.setAttribute("points", corners(count).join(" "));
    } else {
      for (const [name, value] of [["cx", 10], ["cy", 10], ["r", 7.5]]) shape.setAttribute(name, value);
    }
    drawing.append(shape);
    const face = make("span", {}, drawing);
    $("blades").append(make("label", { title: count ? `${count} blades` : "Round" }, input, face));
  }
}

function corners(count) {
  return Array.from({ length: count }, (_, i) => {
    const angle = (2 * Math.PI * i) / count;
    return `${(10 + 8 * Math.sin(angle)).toFixed(2)},${(10 - 8 * Math.cos(angle)).toFixed(2)}`;
  });
}

function turnBlades(degrees) {
  for (const shape of $("blades").querySelectorAll("polygon")) {
    shape.setAttribute("transform", `rotate(${degrees} 10 10)`);
  }
}
