// Asks for a key, and keeps it for this tab.

import { el, field, problem } from "./dom.js";
import { keep, keyFor } from "./keys.js";

/** A form for a key of a role. `said`: why it is asked for; `then` is called once there is one. */
export function signIn(role, said, then) {
  const input = el("input", {
    type: "password",
    name: `${role}-key`,
    required: true,
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "psk_…",
  });
  const admin = role === "admin";
  return el(
    "form",
    {
      class: "sign-in card",
      onsubmit: (event) => {
        event.preventDefault();
        keep(role, input.value.trim());
        then();
      },
    },
    el("h2", {}, admin ? "An administrator's key" : "A key"),
    // What is said to programs of how a key is sent is of no use here.
    keyFor(role) === null ? el("p", {}, "This address asks for a key.") : problem(said),
    field(admin ? "Administrator's key" : "Key", input, "It is kept for this tab alone, and is gone when you close it."),
    el("div", { class: "buttons" }, el("button", { type: "submit", class: "primary" }, "Use it")),
  );
}
