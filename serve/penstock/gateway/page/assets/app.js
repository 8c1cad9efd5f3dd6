// Begins: finds out whether a key is asked for, and shows the view that the address names.

import { apiView } from "./api-view.js";
import { explained, Refusal } from "./api.js";
import { Catalog } from "./catalog.js";
import { el, problem } from "./dom.js";
import { holdsKeys, keep } from "./keys.js";
import { modelsView } from "./models-view.js";
import { playground } from "./playground.js";
import { signIn } from "./sign-in.js";
import { tokensView } from "./tokens-view.js";
import { usageView } from "./usage-view.js";

const FOR_USERS = ["playground", "api"];
const catalog = new Catalog();
const main = document.getElementById("main");
const account = document.getElementById("account");
const heading = el("h1", { tabindex: "-1" });
const place = el("div");
const made = new Map();
const makers = {
  playground: () => playground(catalog),
  api: () => apiView(catalog),
  models: modelsView,
  tokens: tokensView,
  usage: usageView,
};
let current = null;

function view(name) {
  if (!made.has(name)) made.set(name, makers[name]());
  return made.get(name);
}

async function show({ focus = true } = {}) {
  const asked = location.hash.slice(1);
  const name = asked in makers ? asked : "playground";
  current?.hide();
  current = null;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (FOR_USERS.includes(name) && !(await known())) {
    heading.textContent = "Penstock";
    document.title = "Penstock";
    return;
  }
  current = view(name);
  heading.textContent = current.title;
  document.title = `${current.title} · Penstock`;
  place.replaceChildren(current.element);
  if (focus) heading.focus();
  await current.show();
}

/** Whether the models are known; else what is shown says why not. */
async function known() {
  if (catalog.models.length > 0) return true;
  try {
    await catalog.look();
    catalog.follow();
  } catch (error) {
    const wants = error instanceof Refusal && error.wantsKey;
    place.replaceChildren(wants ? signIn("user", explained(error), show) : problem(explained(error)));
    if (wants) place.querySelector("input").focus();
    return false;
  }
  if (catalog.models.length > 0) return true;
  place.replaceChildren(el("p", {}, "There are no models here that may be used."));
  return false;
}

function showAccount() {
  const forget = el(
    "button",
    {
      type: "button",
      onclick: () => {
        keep("user", null);
        keep("admin", null);
        // Everything that was shown with the key goes with it.
        location.reload();
      },
    },
    "Forget my key",
  );
  account.replaceChildren(...(holdsKeys() ? [forget] : []));
}

main.replaceChildren(heading, place);
addEventListener("hashchange", () => show());
addEventListener("penstock-keys", showAccount);
showAccount();
show({ focus: false });
