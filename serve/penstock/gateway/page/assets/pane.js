// One model's side of the playground: which model, how it is, and the conversation with it.

import { ask, pace } from "./answer.js";
import { explained } from "./api.js";
import { state } from "./catalog.js";
import { bodyOf, opening } from "./draft.js";
import { el, field } from "./dom.js";
import { count, duration } from "./format.js";
import { rendered } from "./markdown.js";
import { outlook, WakeClock } from "./wake.js";

export class Pane {
  #catalog;
  #messages = [];
  #select = el("select", { onchange: () => this.#describe() });
  #state = el("p", { class: "state" });
  #talk;

  /** `label` names it where there are two. */
  constructor(catalog, label) {
    this.#catalog = catalog;
    // What scrolls must be reached by the keyboard.
    this.#talk = el("div", { class: "talk", role: "group", "aria-label": `Conversation, ${label}`, tabindex: "0" });
    this.element = el("div", { class: "pane" }, field(label, this.#select), this.#state, this.#talk);
    this.stopListening = catalog.listen((models) => this.#offer(models));
  }

  get model() {
    return this.#select.value;
  }

  set model(id) {
    this.#select.value = id;
    this.#describe();
  }

  /** What was said so far, in the API's form. */
  get messages() {
    return this.#messages;
  }

  clear() {
    this.#messages = [];
    this.#talk.replaceChildren();
  }

  /** Ask. Resolves to a sentence on how it went, for whoever cannot see it. Raises nothing. */
  async send(prompt, signal) {
    const before = this.#messages.length > 0 ? this.#messages : opening();
    const messages = [...before, { role: "user", content: prompt }];
    const answer = new AnswerView(this.model);
    this.#talk.append(el("div", { class: "turn user" }, el("p", { class: "who" }, "You"), el("p", {}, prompt)));
    this.#talk.append(answer.element);
    this.#follow();
    const clock = this.#wake(answer);
    try {
      const measured = await ask(bodyOf(this.model, messages), {
        signal,
        onText: (text, thoughts) => {
          clock.stop();
          answer.show(text, thoughts);
          this.#follow();
        },
      });
      answer.finish(measured);
      this.#messages = [...messages, { role: "assistant", content: measured.text }];
      return `${this.model} has answered: ${measured.text}`;
    } catch (error) {
      const stopped = error.name === "AbortError";
      if (stopped && answer.text) this.#messages = [...messages, { role: "assistant", content: answer.text }];
      answer.end(stopped ? "Stopped." : explained(error), { failed: !stopped, id: error.requestId });
      return stopped ? "Stopped." : `${this.model} did not answer: ${explained(error)}`;
    } finally {
      clock.stop();
      this.#follow();
    }
  }

  /** The clock of a start, shown while the model has no replica. */
  #wake(answer) {
    const clock = new WakeClock();
    const asked = this.model;
    answer.element.append(clock.element);
    const calm = this.#catalog.hurry();
    const deaf = this.#catalog.listen((models) => {
      const model = models.find(({ id }) => id === asked);
      if (model) clock.note(model);
    });
    return {
      stop() {
        clock.stop();
        calm();
        deaf();
      },
    };
  }

  #offer(models) {
    const chosen = this.#select.value;
    const fresh = models.map(({ id }) => id).join("\n") !== [...this.#select.options].map(({ value }) => value).join("\n");
    if (fresh) this.#select.replaceChildren(...models.map(({ id }) => el("option", { value: id })));
    for (const [at, model] of models.entries()) {
      const label = model.ready ? model.id : `${model.id} (${state(model)})`;
      if (this.#select.options[at].textContent !== label) this.#select.options[at].textContent = label;
    }
    if (fresh && models.some(({ id }) => id === chosen)) this.#select.value = chosen;
    this.#describe();
  }

  #describe() {
    const model = this.#catalog.find(this.#select.value);
    if (!model) return;
    this.#state.className = `state ${state(model).replace(" ", "-")}`;
    this.#state.textContent = outlook(model);
  }

  #follow() {
    this.#talk.scrollTop = this.#talk.scrollHeight;
  }
}

/** One answer on its way. */
class AnswerView {
  text = "";
  #body = el("div", { class: "text" });
  #facts = el("p", { class: "facts" });
  #thoughts = el("p");
  #thinking = el("details", { hidden: true }, el("summary", {}, "Thoughts"), this.#thoughts);
  #drawn = false;
  element;

  constructor(model) {
    this.element = el(
      "div",
      { class: "turn model", "aria-busy": "true" },
      el("p", { class: "who" }, model),
      this.#thinking,
      this.#body,
      this.#facts,
    );
  }

  /** Draw once per picture, however many tokens come. */
  show(text, thoughts) {
    this.text = text;
    this.#thoughts.textContent = thoughts;
    this.#thinking.hidden = !thoughts;
    if (this.#drawn) return;
    this.#drawn = true;
    requestAnimationFrame(() => this.#draw());
  }

  finish(measured) {
    const speed = pace(measured);
    const facts = [
      measured.first !== null && `first token after ${duration(measured.first)}`,
      measured.tokens !== null && `${count(measured.tokens)} tokens`,
      speed !== null && `${speed.toFixed(1)} tokens/s`,
      measured.prompt !== null && `prompt of ${count(measured.prompt)} tokens`,
      measured.held > 0 && `waited ${duration(measured.held)} for a replica`,
      measured.finish === "length" && "cut off: it reached the most tokens",
    ];
    this.end(facts.filter(Boolean).join(" · "), {});
  }

  end(said, { failed = false, id = null }) {
    this.#draw();
    this.element.setAttribute("aria-busy", "false");
    this.#facts.textContent = id ? `${said} (request ${id})` : said;
    if (failed) this.#facts.className = "problem";
  }

  #draw() {
    this.#drawn = false;
    this.#body.replaceChildren(...rendered(this.text));
  }
}
