// How it goes: frame rate, latency, drops, device, and the time of every stage.

import { $, make, notice } from "./dom.js";

const EVERY = 500; // ms

const row = (name, text) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, text ?? "–"));

const pair = (p50, p95) => (p50 == null || p95 == null ? null : `${Math.round(p50)} / ${Math.round(p95)}`);

export class StatusLine {
  #connection;
  #status = null;
  #said = "";

  constructor(connection) {
    this.#connection = connection;
    setInterval(() => this.#show(), EVERY);
    const line = $("status-line");
    line.addEventListener("click", () => this.#unfold($("stages").hidden));
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.#unfold(false));
  }

  showStatus(status) {
    this.#status = status;
    $("device").textContent = status.device;
    $("device").title = status.device;
    const rows = Object.entries(status.stages).map(([name, ms]) => row(name, ms?.toFixed(1)));
    $("stage-rows").replaceChildren(...rows);
    if (status.message !== this.#said) {
      this.#said = status.message;
      notice(status.message, { bad: true });
    }
  }

  /** After a notice about something else, the server's own is said again. */
  reset() {
    this.#said = "";
  }

  #unfold(open) {
    $("stages").hidden = !open;
    if (open) this.#show();
    $("status-line").setAttribute("aria-expanded", open);
  }

  #show() {
    if (!this.#connection.open) {
      $("status-line").textContent = "Connecting";
      return;
    }
    const { fps, p50, p95 } = this.#connection.figures();
    const parts = [`${fps.toFixed(fps < 9.95 ? 1 : 0)} fps`];
    if (p95 != null) parts.push(`${Math.round(Math.max(p95, 0))} ms p95`);
    if (this.#status) parts.push(`${this.#status.drops} dropped`);
    $("status-line").textContent = parts.join("  ·  ");
    if ($("stages").hidden) return;
    const [made50, made95] = this.#status?.latency_ms ?? [];
    $("latency-rows").replaceChildren(
      row("until made, p50 / p95", pair(made50, made95)),
      row("until seen, p50 / p95", pair(p50, p95)),
    );
  }
}
