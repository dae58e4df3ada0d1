// The WebSocket: pictures and messages down, controls up; comes back by itself when it is lost.

const HEADER = 12; // float64 capture time in ms since 1970 by the server's clock, uint32 number
const RETRY = [250, 500, 1000, 2000, 3000];
const WINDOW = 3000; // ms that frame rate and latency are measured over
const FULL = 64 * 1024; // bytes waiting to be sent, above which controls are left out

export class Connection extends EventTarget {
  #socket = null;
  #failures = 0;
  #offset = 0; // server's clock minus ours, ms
  #bestTrip = Infinity;
  #waiting = new Map();
  #latest = 0; // number of the last picture shown
  #shown = [];

  constructor() {
    super();
    document.addEventListener("visibilitychange", () => this.#tellVisible());
    setInterval(() => this.#ping(), 5000);
    this.#open();
  }

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  send(message) {
    if (this.open) this.#socket.send(JSON.stringify(message));
  }

  /** Send with the next animation frame; of several with one key only the last. */
  sendSoon(key, message) {
    if (this.#waiting.size === 0) setTimeout(() => this.#flush(), 16);
    this.#waiting.set(key, message);
  }

  /** Frames per second, and the 95th percentile of capture to shown picture in ms. */
  figures() {
    const now = performance.now();
    this.#shown = this.#shown.filter(([when]) => now - when < WINDOW);
    const ages = this.#shown.map(([, age]) => age).sort((a, b) => a - b);
    if (ages.length < 2) return { fps: 0, p50: null, p95: null };
    const at = (share) => ages[Math.min(ages.length - 1, Math.floor(ages.length * share))];
    const span = this.#shown.at(-1)[0] - this.#shown[0][0];
    return { fps: ((ages.length - 1) * 1000) / span, p50: at(0.5), p95: at(0.95) };
  }

  #open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws`);
    socket.binaryType = "blob";
    socket.onopen = () => {
      this.#failures = 0;
      this.#bestTrip = Infinity;
      this.#latest = 0;
      this.#ping();
      this.#tellVisible();
      this.dispatchEvent(new Event("open"));
    };
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.#read(data) : this.#show(data));
    socket.onclose = () => {
      this.#shown = [];
      this.#waiting.clear();
      this.dispatchEvent(new Event("lost"));
      const pause = RETRY[Math.min(this.#failures++, RETRY.length - 1)];
      setTimeout(() => this.#open(), pause);
    };
    this.#socket = socket;
  }

  #read(text) {
    const message = JSON.parse(text);
    if (message.type === "pong") this.#tune(message);
    else this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
  }

  async #show(data) {
    const socket = this.#socket;
    try {
      const header = new DataView(await data.slice(0, HEADER).arrayBuffer());
      const picture = await createImageBitmap(data.slice(HEADER, data.size, "image/jpeg"));
      const number = header.getUint32(8, true);
      // Two are decoded at a time, and the later may be done first.
      if (socket !== this.#socket || number <= this.#latest) {
        picture.close();
        return;
      }
      this.#latest = number;
      this.dispatchEvent(new CustomEvent("picture", { detail: picture }));
      const age = Date.now() + this.#offset - header.getFloat64(0, true);
      this.#shown.push([performance.now(), age]);
      if (this.#shown.length > 500) this.#shown.shift();
    } finally {
      // Once it is on the screen: a page that cannot keep up is sent fewer.
      if (socket.readyState === WebSocket.OPEN) socket.send('{"type":"ack"}');
    }
  }

  #flush() {
    const full = this.open && this.#socket.bufferedAmount > FULL;
    if (!full) for (const message of this.#waiting.values()) this.send(message);
    this.#waiting.clear();
  }

  #ping() {
    this.send({ type: "ping", sent: Date.now() });
  }

  /** The quickest round trip tells the clocks' difference best. */
  #tune({ sent, server }) {
    const now = Date.now();
    if (now - sent > this.#bestTrip) return;
    this.#bestTrip = now - sent;
    this.#offset = server - (sent + now) / 2;
  }

  #tellVisible() {
    this.send({ type: "visible", on: document.visibilityState === "visible" });
  }
}
