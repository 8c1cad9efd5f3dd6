// The fields for what a request asks beside its text. An empty one is left to the engine.

import { draft } from "./draft.js";
import { el, field } from "./dom.js";

const PARAMETERS = [
  { name: "temperature", label: "Temperature", min: 0, max: 2, step: 0.1, hint: "0 is the likeliest word each time." },
  { name: "top_p", label: "Top p", min: 0.01, max: 1, step: 0.01, hint: "Share of likely words that it picks from." },
  { name: "max_tokens", label: "Most tokens", min: 1, step: 1, hint: "Where the answer ends at the latest." },
  { name: "seed", label: "Seed", step: 1, hint: "The same one gives the same answer." },
];

/** The fields, which write into the draft. */
export function parameterFields() {
  const system = el("textarea", {
    rows: "3",
    value: draft.system,
    oninput: () => (draft.system = system.value),
  });
  const numbers = PARAMETERS.map(({ name, label, hint, ...bounds }) => {
    const input = el("input", {
      type: "number",
      ...bounds,
      name,
      placeholder: "default",
      value: draft.parameters[name] ?? "",
      oninput: () => {
        if (Number.isFinite(input.valueAsNumber) && input.checkValidity()) draft.parameters[name] = input.valueAsNumber;
        else delete draft.parameters[name];
      },
    });
    return field(label, input, hint);
  });
  return el(
    "details",
    { class: "parameters", open: matchMedia("(min-width: 60rem)").matches },
    el("summary", {}, "Parameters"),
    field("System prompt", system),
    el("div", { class: "grid small" }, numbers),
  );
}
