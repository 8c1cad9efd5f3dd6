// The playground: ask one model, or two side by side.

import { announce, el, field } from "./dom.js";
import { draft } from "./draft.js";
import { Pane } from "./pane.js";
import { parameterFields } from "./parameters.js";

/** The view. It is made once, and keeps its conversations while others are looked at. */
export function playground(catalog) {
  let asking = null;
  const panes = [new Pane(catalog, "Model")];
  const prompt = el("textarea", {
    rows: "3",
    name: "prompt",
    oninput: () => (draft.prompt = prompt.value),
    onkeydown: (event) => {
      // While letters are composed, Enter ends a word.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    },
  });
  const sending = el("button", { type: "submit", class: "primary" }, "Send");
  const stopping = el("button", { type: "button", disabled: true, onclick: () => asking?.abort() }, "Stop");
  const side = el("div", { class: "panes" }, panes[0].element);
  const comparing = el("button", { type: "button", "aria-pressed": "false", onclick: compare }, "Compare two");

  async function submit(event) {
    event.preventDefault();
    const text = prompt.value.trim();
    if (asking || !text || !panes[0].model) return;
    asking = new AbortController();
    busy(true);
    prompt.value = draft.prompt = "";
    announce(`Asking ${panes.map(({ model }) => model).join(" and ")}`);
    draft.model = panes[0].model;
    const outcomes = await Promise.all(panes.map((pane) => pane.send(text, asking.signal)));
    const said = panes[0].messages;
    draft.messages = said.at(-1)?.role === "assistant" ? said.slice(0, -1) : said;
    asking = null;
    busy(false);
    announce(outcomes.join("\n"));
  }

  function busy(yes) {
    sending.disabled = comparing.disabled = clearing.disabled = yes;
    stopping.disabled = !yes;
    // The focus must not fall off a button that goes out of use.
    if (yes) stopping.focus();
    else prompt.focus();
  }

  function compare() {
    const two = panes.length === 1;
    if (two) {
      const second = new Pane(catalog, "Second model");
      const other = catalog.models.find(({ id }) => id !== panes[0].model);
      panes.push(second);
      side.append(second.element);
      if (other) second.model = other.id;
    } else {
      const second = panes.pop();
      second.stopListening();
      second.element.remove();
    }
    comparing.setAttribute("aria-pressed", String(two));
    side.classList.toggle("two", two);
    announce(two ? "Two models are asked." : "One model is asked.");
  }

  const clearing = el(
    "button",
    {
      type: "button",
      onclick: () => {
        for (const pane of panes) pane.clear();
        draft.messages = [];
        prompt.focus();
      },
    },
    "New conversation",
  );
  const form = el(
    "form",
    { class: "ask", onsubmit: submit },
    field("Message", prompt, "Enter sends it, Shift and Enter begin a new line."),
    el("div", { class: "buttons" }, sending, stopping, comparing, clearing),
  );
  return {
    title: "Playground",
    element: el(
      "div",
      { class: "playground" },
      el("div", { class: "conversation" }, side, form),
      el("aside", { "aria-label": "Parameters" }, parameterFields()),
    ),
    show() {
      if (panes[0].model) draft.model ||= panes[0].model;
    },
    hide() {
      draft.model = panes[0].model;
    },
  };
}
