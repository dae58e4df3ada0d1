// Beside the picture: which file, the command line that does the same, and rendering to a file.

import { $, make, notice } from "./dom.js";

export class Job {
  #connection;
  #running = false;

  constructor(connection) {
    this.#connection = connection;
    $("copy").addEventListener("click", () => this.copy());
    $("render").addEventListener("click", () => {
      connection.send({ type: "render", action: this.#running ? "cancel" : "start" });
    });
    $("media").addEventListener("focus", () => connection.send({ type: "media" }));
    $("media").addEventListener("change", ({ target }) => {
      if (target.value) connection.send({ type: "open", name: target.value });
    });
  }

  showSource({ name }) {
    $("source-name").textContent = name;
    $("source-name").title = name;
    document.title = name ? `${name} – rtfocus` : "rtfocus";
    $("media").value = name;
  }

  showState({ command }) {
    if ($("command").textContent !== command) $("command").textContent = command;
  }

  showAbilities({ render, media }) {
    $("render").hidden = !render;
    $("media-section").hidden = media.length === 0;
    const options = media.map((name) => make("option", { value: name }, name));
    const before = [...$("media").options].slice(1).map((option) => option.value);
    if (before.join("\n") === media.join("\n")) return;
    const chosen = $("source-name").textContent;
    $("media").replaceChildren(make("option", { value: "" }, "Choose…"), ...options);
    $("media").value = media.includes(chosen) ? chosen : "";
  }

  showRender({ phase, share, text }) {
    const ended = this.#running && phase !== "running";
    this.#running = phase === "running";
    $("render").textContent = this.#running ? "Cancel" : "Render";
    $("render").classList.toggle("primary", !this.#running);
    $("render-progress").hidden = false;
    $("render-bar").hidden = !this.#running;
    $("render-bar").value = share;
    const words = { done: `Done: ${text}`, cancelled: "Cancelled", failed: text };
    $("render-text").textContent = this.#running ? `${Math.round(share * 100)} %` : words[phase];
    if (ended) notice(words[phase], { bad: phase === "failed", time: 4000 });
  }

  async copy() {
    const text = $("command").textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without https, other machines have no clipboard to write to; a selection still works.
      getSelection().selectAllChildren($("command"));
      document.execCommand("copy");
      getSelection().removeAllRanges();
    }
    notice("Command copied", { time: 1500 });
  }
}
