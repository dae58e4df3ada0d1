// Keyboard shortcuts of the page.

import { $ } from "./dom.js";

const VIEWS = ["result", "original", "depth", "coc", "split"];

/** Whether the key belongs to what has the keyboard's focus: text, or something it activates. */
function taken(event) {
  const { target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return true;
  if (target.matches("input[type=text], select, textarea")) return true;
  return event.key === " " && target.matches("button, summary, a, input[type=radio]");
}

export function watchKeys(connection, { timeline, copy, togglePanel }) {
  let peeking = false;

  function peek(on) {
    if (peeking === on) return;
    peeking = on;
    connection.send({ type: "peek", on });
  }

  const nudge = (name, steps) => connection.send({ type: "nudge", name, steps });
  const actions = {
    "[": () => nudge("focus", -2),
    "]": () => nudge("focus", 2),
    "-": () => nudge("f_number", -1),
    "+": () => nudge("f_number", 1),
    "=": () => nudge("f_number", 1),
    "c": copy,
    "\\": togglePanel,
    "?": () => $("keys").showModal(),
    "p": () => timeline.shown && timeline.toggle(),
    "k": () => timeline.shown && timeline.addKeyframe(),
  };

  document.addEventListener("keydown", (event) => {
    if (taken(event)) return;
    const view = VIEWS[Number(event.key) - 1];
    const action = actions[event.key.toLowerCase()];
    if (event.key === " ") peek(true);
    else if (view) connection.send({ type: "set", view });
    else if (action) action();
    else return;
    event.preventDefault();
  });
  document.addEventListener("keyup", (event) => event.key === " " && peek(false));
  addEventListener("blur", () => peek(false));
  connection.addEventListener("lost", () => { peeking = false; });
}
