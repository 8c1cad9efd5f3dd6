// What a view for administrators has in common: it is loaded when it is shown, and asks for a key where it must.

import { explained } from "./api.js";
import { el, problem } from "./dom.js";
import { signIn } from "./sign-in.js";

/** A view. `load` resolves to its content, or raises what a request raised. */
export function guarded(title, load) {
  const element = el("div", { class: "narrow" });
  let shown = 0;

  async function show() {
    shown += 1;
    const turn = shown;
    let content;
    try {
      content = await load(show);
    } catch (error) {
      content = error.wantsKey ? signIn("admin", explained(error), show) : problem(explained(error));
    }
    // Whoever came back meanwhile has a newer answer on its way.
    if (turn === shown) element.replaceChildren(...[content].flat());
  }

  return { title, element, show, hide: () => (shown += 1) };
}
