// Models for administrators: their replicas and phases, why the last start failed and what helps, the log's end, waking.

import { administer, explained } from "./api.js";
import { announce, el, problem } from "./dom.js";
import { duration } from "./format.js";
import { guarded } from "./guarded.js";

const LOOK = 2000;

export function modelsView() {
  const cards = new Map();
  const list = el("div", { class: "cards" });
  let timer = null;

  async function look() {
    const { models } = await administer("models");
    for (const model of models) {
      if (!cards.has(model.name)) {
        cards.set(model.name, new Card(model.name));
        list.append(cards.get(model.name).element);
      }
      cards.get(model.name).draw(model);
    }
    for (const [name, card] of cards) {
      if (models.some((model) => model.name === name)) continue;
      card.element.remove();
      cards.delete(name);
    }
    if (models.length === 0) list.replaceChildren(el("p", {}, "The document names no models."));
  }

  function follow() {
    timer = setTimeout(async () => {
      // What is known stays where the gateway does not answer for a moment.
      if (!document.hidden) await look().catch(() => {});
      if (timer !== null) follow();
    }, LOOK);
  }

  const view = guarded("Models", async () => {
    await look();
    if (timer === null) follow();
    return list;
  });
  return {
    ...view,
    hide() {
      clearTimeout(timer);
      timer = null;
      view.hide();
    },
  };
}

class Card {
  #name;
  #badge = el("span", { class: "badge" });
  #facts = el("p", { class: "hint" });
  #replicas = el("ul", { class: "replicas" });
  #failure = el("div");
  #said = "";
  #log = el("div");
  #load;
  #unload;
  element;

  constructor(name) {
    this.#name = name;
    this.#load = el("button", { type: "button", onclick: () => this.#wake() }, "Load");
    this.#unload = el("button", { type: "button", hidden: true, onclick: () => this.#rest() }, "Unload");
    this.#unload.setAttribute("aria-label", `Unload ${name}`);
    const log = el("button", { type: "button", onclick: () => this.#read() }, "Log");
    this.#load.setAttribute("aria-label", `Load ${name}`);
    log.setAttribute("aria-label", `End of the log of ${name}`);
    this.element = el(
      "section",
      { class: "card model", "aria-label": name },
      el("div", { class: "row spread" }, el("h2", {}, name), this.#badge),
      this.#facts,
      this.#replicas,
      this.#failure,
      el("div", { class: "buttons" }, this.#load, this.#unload, log),
      this.#log,
    );
  }

  draw(model) {
    const status = model.ready ? "ready" : model.status === "idle" ? "asleep" : model.status;
    this.#badge.textContent = status;
    this.#badge.className = `badge ${status.replace(" ", "-")}`;
    // One that is on its way needs nobody to ask.
    this.#load.disabled = !["asleep", "failed", "draining"].includes(status);
    this.#unload.hidden = !model.sleeps;
    this.#unload.disabled = !model.ready;
    const facts = [
      model.aliases.length > 0 && `also ${model.aliases.join(", ")}`,
      model.max_model_len && `context of ${model.max_model_len} tokens`,
      `${model.requests} in progress`,
      `${model.waiting} waiting`,
      model.start_seconds && `starts in about ${duration(model.start_seconds)}`,
    ];
    this.#facts.textContent = facts.filter(Boolean).join(" · ");
    this.#replicas.replaceChildren(...model.replicas.map(replica));
    const failed = model.failure ? JSON.stringify(model.failure) : "";
    if (failed === this.#said) return;
    this.#said = failed;
    this.#failure.replaceChildren(...(model.failure ? failure(model.failure) : []));
  }

  #wake() {
    return this.#ask(this.#load, "load", "is being loaded.");
  }

  #rest() {
    return this.#ask(this.#unload, "unload", "is unloaded as soon as nobody uses it.");
  }

  async #ask(button, what, done) {
    button.disabled = true;
    try {
      await administer(`models/${encodeURIComponent(this.#name)}/${what}`, { method: "POST" });
      announce(`${this.#name} ${done}`);
    } catch (error) {
      this.#log.replaceChildren(problem(explained(error)));
    }
  }

  async #read() {
    try {
      const log = await administer(`models/${encodeURIComponent(this.#name)}/log`);
      const told = log.lines.length > 0 ? log.lines.join("\n") : log.missing;
      const shown = el("pre", { class: "log", tabindex: "0", "aria-label": `End of the log of ${this.#name}` }, told);
      this.#log.replaceChildren(shown);
      shown.scrollTop = shown.scrollHeight;
    } catch (error) {
      this.#log.replaceChildren(problem(explained(error)));
    }
  }
}

function replica({ replica: id, phase, phases, detail }) {
  const told = phases.map((mark) => `${mark.phase} ${duration(mark.seconds)}`).join(" → ");
  return el(
    "li",
    {},
    el("strong", {}, phase),
    detail ? ` ${detail}` : "",
    el("span", { class: "hint" }, ` ${told} · replica ${id}`),
  );
}

function failure({ cause, remedy }) {
  return [
    el("p", { class: "problem" }, el("strong", {}, "Last failure: "), cause),
    remedy && el("p", { class: "remedy" }, el("strong", {}, "What helps: "), remedy),
  ].filter(Boolean);
}
