// Small things that every part of the page uses.

export const $ = (id) => document.getElementById(id);

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** An element with attributes and children. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

let announcing = 0;

/** Have a screen reader say something, once it has come to rest. */
export function announce(text) {
  clearTimeout(announcing);
  announcing = setTimeout(() => { $("announcer").textContent = text; }, 150);
}

let hiding = 0;

/** Show a notice over the picture; for so many milliseconds, or until the next one. */
export function notice(text, { bad = false, time = 0 } = {}) {
  const element = $("notice");
  clearTimeout(hiding);
  element.textContent = text;
  element.hidden = !text;
  element.classList.toggle("bad", bad);
  if (time) hiding = setTimeout(() => { element.hidden = true; }, time);
}

/** Minutes and seconds, and tenths where asked for. */
export function clockText(seconds, tenths = false) {
  const rounded = tenths ? Math.round(seconds * 10) / 10 : Math.floor(seconds);
  const rest = (rounded % 60).toFixed(tenths ? 1 : 0).padStart(tenths ? 4 : 2, "0");
  const minutes = Math.floor(rounded / 60);
  if (minutes < 60) return `${minutes}:${rest}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}
