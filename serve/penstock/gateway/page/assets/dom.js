// Makes elements. Text is always set as text: there is no way here by which a string becomes markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `properties`: attributes, and functions under `onclick` and the like; `false` and `null` leave one out. */
export function el(tag, properties = {}, ...children) {
  return furnished(document.createElement(tag), properties, children);
}

/** The same for drawings. */
export function svg(tag, properties = {}, ...children) {
  return furnished(document.createElementNS(SVG, tag), properties, children);
}

function furnished(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

let counted = 0;

/** An id that no other element has. */
export function newId(word) {
  counted += 1;
  return `${word}-${counted}`;
}

/** A labelled field. `hint` says more, and belongs to the field for screen readers too. */
export function field(label, control, hint = "") {
  control.id ||= newId("field");
  const told = hint && el("span", { class: "hint", id: `${control.id}-hint` }, hint);
  if (told) control.setAttribute("aria-describedby", told.id);
  return el("div", { class: "field" }, el("label", { for: control.id }, label), control, told);
}

/** What went wrong, told at once to whoever cannot see it. */
export function problem(message) {
  return el("p", { class: "problem", role: "alert" }, message);
}

/** Tell whoever cannot see it what has changed. */
export function announce(message) {
  const status = document.getElementById("status");
  // The same words twice are no change, which is what is read out.
  status.textContent = status.textContent === message ? `${message}\u00a0` : message;
}

/** A question before something that cannot be undone. Resolves to whether it shall be done. */
export function confirmed(question, yes) {
  return new Promise((resolve) => {
    const title = newId("question");
    const dialog = el(
      "dialog",
      { "aria-labelledby": title, onclose: () => finish() },
      el("p", { id: title }, question),
      el(
        "div",
        { class: "buttons" },
        el("button", { type: "button", class: "danger", onclick: () => dialog.close("yes") }, yes),
        el("button", { type: "button", autofocus: true, onclick: () => dialog.close("") }, "Cancel"),
      ),
    );
    const finish = () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    };
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A button that copies what `text` gives, and says that it did. */
export function copyButton(text, label = "Copy") {
  const button = el("button", { type: "button" }, label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
      announce("Copied");
    } catch {
      // Without TLS browsers lend the clipboard to this machine's own pages alone.
      button.textContent = "Select and copy it by hand";
    }
    setTimeout(() => (button.textContent = label), 2000);
  });
  return button;
}
