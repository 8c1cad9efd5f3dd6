// Keys: make one, copy it once, revoke it. Everything through /admin/keys, with an administrator's key.

import { administer, explained } from "./api.js";
import { announce, confirmed, copyButton, el, field, problem } from "./dom.js";
import { moment } from "./format.js";
import { guarded } from "./guarded.js";

const LIFETIMES = { "15 minutes": 900, "1 hour": 3600, "1 day": 86400, "30 days": 30 * 86400, "90 days": 90 * 86400 };

export function tokensView() {
  return guarded("Tokens", async (again) => {
    const { keys } = await administer("keys");
    const made = el("div");
    return [form(made, again), made, table(keys, again)];
  });
}

function form(made, again) {
  const name = el("input", { name: "name", required: true, autocomplete: "off", maxlength: "63" });
  const owner = el("input", { name: "owner", value: "default", required: true, autocomplete: "off" });
  const models = el("input", { name: "models", value: "*", required: true, autocomplete: "off" });
  const expires = el(
    "select",
    { name: "expires" },
    Object.keys(LIFETIMES).map((label) => el("option", { selected: label === "30 days" }, label)),
    el("option", { value: "" }, "never"),
  );
  const admin = el("input", { type: "checkbox", name: "admin" });
  const wrong = el("div");

  async function submit(event) {
    event.preventDefault();
    const seconds = LIFETIMES[expires.value];
    const body = {
      name: name.value.trim(),
      owner: owner.value.trim(),
      models: models.value.split(/[\s,]+/).filter(Boolean),
      roles: admin.checked ? ["user", "admin"] : ["user"],
      expires: seconds ? new Date(Date.now() + seconds * 1000).toISOString() : null,
    };
    try {
      const key = await administer("keys", { method: "POST", body });
      wrong.replaceChildren();
      present(made, key, again);
    } catch (error) {
      wrong.replaceChildren(problem(explained(error)));
    }
  }

  return el(
    "form",
    { class: "card", onsubmit: submit },
    el("h2", {}, "New token"),
    el(
      "div",
      { class: "grid" },
      field("Name", name),
      field("Team", owner),
      field("Models", models, "Names, with * for any letters."),
      field("Expires after", expires),
    ),
    el("label", { class: "choice" }, admin, " may administer as well"),
    wrong,
    el("div", { class: "buttons" }, el("button", { type: "submit", class: "primary" }, "Create")),
  );
}

function present(made, key, again) {
  const shown = el("input", { readonly: true, value: key.key, class: "secret", "aria-label": `The token ${key.name}` });
  const card = el(
    "section",
    { class: "card made", "aria-label": "The new token" },
    el("p", {}, `This is the token ${key.name}. It is shown only now: copy it.`),
    shown,
    el(
      "div",
      { class: "buttons" },
      copyButton(() => key.key, "Copy the token"),
      el("button", { type: "button", onclick: again }, "I have it"),
    ),
  );
  made.replaceChildren(card);
  announce(`The token ${key.name} was made. It is shown only now.`);
  shown.focus();
  shown.select();
}

function table(keys, again) {
  if (keys.length === 0) return el("p", {}, "There are no tokens yet.");
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Tokens" },
    el(
      "table",
      {},
      el("caption", {}, "Tokens"),
      el("thead", {}, el("tr", {}, ["Name", "Team", "Models", "Roles", "State", "Expires", ""].map(head))),
      el("tbody", {}, keys.map((key) => row(key, again))),
    ),
  );
}

const head = (text) => (text ? el("th", { scope: "col" }, text) : el("td"));

function row(key, again) {
  const revoke = el(
    "button",
    {
      type: "button",
      "aria-label": `Revoke ${key.name}`,
      onclick: async () => {
        if (!(await confirmed(`Revoke the token ${key.name}? Whoever uses it is refused within 5 seconds.`, "Revoke"))) {
          return;
        }
        try {
          await administer(`keys/${encodeURIComponent(key.id)}`, { method: "DELETE" });
          announce(`The token ${key.name} was revoked.`);
          await again();
        } catch (error) {
          revoke.replaceWith(problem(explained(error)));
        }
      },
    },
    "Revoke",
  );
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, key.name),
    el("td", {}, key.owner),
    el("td", {}, key.models.join(", ")),
    el("td", {}, key.roles.join(", ")),
    el("td", {}, el("span", { class: `badge ${key.state}` }, key.state)),
    el("td", {}, key.expires ? moment(key.expires) : "never"),
    el("td", {}, key.source === "store" ? revoke : el("span", { class: "hint" }, `listed in the ${key.source}`)),
  );
}
