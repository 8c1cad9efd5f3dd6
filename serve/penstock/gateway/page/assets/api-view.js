// The API tab: the request of the playground as code.

import { root } from "./api.js";
import { copyButton, el, field } from "./dom.js";
import { draft, shown } from "./draft.js";
import { keyOf } from "./keys.js";
import { LANGUAGES } from "./snippets.js";

export function apiView(catalog) {
  let language = Object.keys(LANGUAGES)[0];
  const code = el("code");
  const note = el("p", { class: "hint" });
  const streamed = el("input", { type: "checkbox", checked: true, onchange: write, id: "streamed" });
  const models = el("select", {
    onchange: () => {
      draft.model = models.value;
      write();
    },
  });
  const choices = Object.keys(LANGUAGES).map((name) =>
    el(
      "label",
      { class: "choice" },
      el("input", {
        type: "radio",
        name: "language",
        value: name,
        checked: name === language,
        onchange: () => {
          language = name;
          write();
        },
      }),
      ` ${name}`,
    ),
  );

  function write() {
    const base = new URL("v1", root).href;
    const key = keyOf("user") !== null;
    code.textContent = LANGUAGES[language]({ ...shown(), stream: streamed.checked }, base, key);
    note.textContent = key
      ? "Put your key into the variable PENSTOCK_API_KEY; it is not written into the code."
      : "This address asks for no key; clients that want one are given any word.";
  }

  return {
    title: "API",
    element: el(
      "div",
      { class: "narrow" },
      el("p", {}, "The request of the playground as code: its model, messages and parameters, ready to paste."),
      el(
        "div",
        { class: "row" },
        field("Model", models),
        el("fieldset", { class: "choices" }, el("legend", {}, "Language"), choices),
        el("label", { class: "choice", for: "streamed" }, streamed, " streamed"),
      ),
      el("pre", { class: "code", tabindex: "0", "aria-label": "Code" }, code),
      el("div", { class: "buttons" }, copyButton(() => code.textContent, "Copy the code")),
      note,
    ),
    show() {
      models.replaceChildren(...catalog.models.map(({ id }) => el("option", { value: id }, id)));
      draft.model ||= models.value;
      models.value = draft.model;
      write();
    },
    hide() {},
  };
}
