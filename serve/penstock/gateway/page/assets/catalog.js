// The models and how they are, looked at every few seconds while somebody looks at the page.

import { send } from "./api.js";

const USUAL = 5000;
const WHILE_WAITING = 1000;

/** Looks, and tells whoever listens. */
export class Catalog {
  models = [];
  #listeners = new Set();
  #waiting = 0;
  #timer = null;

  /** Look now. Raises what the request raises. */
  async look() {
    this.models = (await (await send("v1/models")).json()).data;
    for (const listener of this.#listeners) listener(this.models);
  }

  /** Go on looking. */
  follow() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      try {
        if (!document.hidden) await this.look();
      } catch {
        // What is known stays; whoever asks for something is told what is wrong.
      }
      this.follow();
    }, this.#waiting > 0 ? WHILE_WAITING : USUAL);
  }

  /** Call `listener` with the models now and whenever they were looked at. */
  listen(listener) {
    this.#listeners.add(listener);
    if (this.models.length > 0) listener(this.models);
    return () => this.#listeners.delete(listener);
  }

  /** Look more often until the function that is returned is called. */
  hurry() {
    this.#waiting += 1;
    this.follow();
    let over = false;
    return () => {
      if (!over) this.#waiting -= 1;
      over = true;
    };
  }

  find(id) {
    return this.models.find((model) => model.id === id);
  }
}

/** One word for how a model is: `ready`, `asleep`, `failed`, or the phase of its start. */
export function state(model) {
  if (model.ready) return "ready";
  return model.status === "idle" ? "asleep" : model.status;
}
