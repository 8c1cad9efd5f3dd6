// How a model is that is asked for something: that it sleeps and will wake, and while it does, the clock of its phases.

import { state } from "./catalog.js";
import { el } from "./dom.js";
import { duration } from "./format.js";

/** A sentence on a model that nobody waits for. */
export function outlook(model) {
  switch (state(model)) {
    case "ready": {
      const context = model.max_model_len ? ` Context of ${model.max_model_len.toLocaleString("en")} tokens.` : "";
      return `Ready, ${model.replicas_ready === 1 ? "1 replica" : `${model.replicas_ready} replicas`}.${context}`;
    }
    case "asleep":
      return `Asleep: your first message wakes it.${usual(model)}`;
    case "failed":
      return "Its last start failed. A message has it tried again; an administrator sees why under Models.";
    case "draining":
      return "Its last replica is stopping. A message starts another one.";
    default:
      return `It is starting (${model.status}).${usual(model)}`;
  }
}

function usual(model) {
  return model.start_seconds ? ` That takes about ${duration(model.start_seconds)}.` : "";
}

/** Shows how long a request waits, and what its model goes through meanwhile. `stop` ends the clock. */
export class WakeClock {
  #began = performance.now();
  #seenAt = performance.now();
  #model = null;
  #phases = el("ol", { class: "phases" });
  #total = el("span", { class: "number" });
  #left = el("span", { class: "hint" });
  #timer;

  element = el(
    "div",
    { class: "wake", hidden: true },
    el("p", {}, el("strong", {}, "Waking the model "), this.#total, " ", this.#left),
    this.#phases,
  );

  constructor() {
    this.#timer = setInterval(() => this.#draw(), 100);
  }

  /** What the gateway says of the model now. */
  note(model) {
    this.#model = model;
    this.#seenAt = performance.now();
    this.element.hidden = Boolean(model.ready);
    this.#draw();
  }

  stop() {
    clearInterval(this.#timer);
    this.element.remove();
  }

  #draw() {
    if (!this.#model || this.element.hidden) return;
    const now = performance.now();
    this.#total.textContent = duration((now - this.#began) / 1000);
    const since = (now - this.#seenAt) / 1000;
    const remaining = this.#model.start_seconds_remaining;
    this.#left.textContent = remaining ? `about ${duration(Math.max(remaining - since, 1))} to go` : "";
    const phases = this.#model.phases ?? [];
    const rows = phases.map(({ phase, seconds }, at) => {
      const last = at === phases.length - 1;
      const detail = last && this.#model.detail ? ` · ${this.#model.detail}` : "";
      return el(
        "li",
        { class: last ? "current" : "done" },
        el("span", {}, phase + detail),
        el("span", { class: "number" }, duration(seconds + (last ? since : 0))),
      );
    });
    if (rows.length === 0) rows.push(el("li", { class: "current" }, el("span", {}, "asked for a replica")));
    this.#phases.replaceChildren(...rows);
  }
}
