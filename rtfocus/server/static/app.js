// Puts the page together.

import { $, announce, notice } from "./dom.js";
import { Connection } from "./connection.js";
import { Controls } from "./controls.js";
import { Histogram } from "./histogram.js";
import { Job } from "./job.js";
import { watchKeys } from "./keys.js";
import { Stage } from "./stage.js";
import { StatusLine } from "./status.js";
import { Timeline } from "./timeline.js";

const clean = new URLSearchParams(location.search).get("clean") === "1";
document.body.classList.toggle("clean", clean);

const connection = new Connection();
const stage = new Stage(connection);
if (!clean) build();

function build() {
  const [controls, histogram, job] = [new Controls(connection), new Histogram(connection), new Job(connection)];
  const [status, timeline] = [new StatusLine(connection), new Timeline(connection)];
  let version = 0;
  let lost = false;

  const listen = (type, ...readers) => connection.addEventListener(type, ({ detail }) => {
    for (const read of readers) read(detail);
  });

  listen("state", (state) => {
    if (state.version < version) return;
    version = state.version;
    for (const part of [controls, histogram, job, stage, timeline]) part.showState(state);
  });
  listen("readout", (r) => stage.showReadout(r), (r) => histogram.showReadout(r), (r) => timeline.showReadout(r));
  listen("histogram", (bins) => histogram.showBins(bins));
  listen("status", (figures) => status.showStatus(figures));
  listen("source", (source) => job.showSource(source), (source) => timeline.showSource(source));
  listen("can", (abilities) => job.showAbilities(abilities));
  listen("render", (progress) => job.showRender(progress));
  listen("error", ({ message }) => notice(message, { bad: true, time: 5000 }));

  connection.addEventListener("open", () => {
    version = 0; // a server that was started anew counts from the beginning
    document.body.classList.remove("away");
    status.reset();
    notice("");
    if (lost) announce("Connected again");
    lost = false;
  });
  connection.addEventListener("lost", () => {
    lost = true;
    document.body.classList.add("away");
    notice("Connection lost. Reconnecting…", { bad: true });
  });

  const togglePanel = () => {
    const hidden = document.body.classList.toggle("wide");
    $("open-panel").hidden = !hidden;
    $("handle").setAttribute("aria-expanded", !hidden);
  };
  for (const id of ["close-panel", "open-panel", "handle"]) $(id).addEventListener("click", togglePanel);
  $("show-keys").addEventListener("click", () => $("keys").showModal());
  watchKeys(connection, { timeline, copy: () => job.copy(), togglePanel });
}
