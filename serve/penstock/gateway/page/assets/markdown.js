// A little Markdown, made of elements: fenced code, headings, lists, paragraphs, `code` and **bold**. All else stays text.

import { el } from "./dom.js";

/** What to show for a text. */
export function rendered(text) {
  const blocks = [];
  const parts = text.split(/^(```+[^\n]*)$/m);
  for (let at = 0; at < parts.length; at += 1) {
    if (at % 4 === 0) blocks.push(...prose(parts[at]));
    else if (at % 4 === 2) blocks.push(el("pre", { tabindex: "0" }, el("code", {}, parts[at].replace(/^\n|\n$/g, ""))));
  }
  return blocks;
}

function prose(text) {
  return text
    .split(/\n{2,}/)
    .filter((paragraph) => paragraph.trim())
    .flatMap((paragraph) => block(paragraph.replace(/^\n+|\n+$/g, "")));
}

function block(text) {
  const heading = /^(#{1,6}) +([^\n]*)(?:\n([\s\S]*))?$/.exec(text);
  if (heading) {
    const rest = heading[3] ? block(heading[3]) : [];
    return [el("p", { class: "heading" }, inline(heading[2])), ...rest];
  }
  const lines = text.split("\n");
  for (const [tag, mark] of [["ul", /^\s*[-*] +/], ["ol", /^\s*\d+[.)] +/]]) {
    if (lines.every((line) => mark.test(line))) {
      return [el(tag, {}, lines.map((line) => el("li", {}, inline(line.replace(mark, "")))))];
    }
  }
  return [el("p", {}, inline(text))];
}

function inline(text) {
  return text.split(/(`[^`\n]+`|\*\*[^*\n]+\*\*)/).map((part, at) => {
    if (at % 2 === 0) return part;
    return part.startsWith("`") ? el("code", {}, part.slice(1, -1)) : el("strong", {}, part.slice(2, -2));
  });
}
