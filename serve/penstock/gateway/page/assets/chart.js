// Stacked bars, drawn as SVG. The table beneath tells the same to whoever cannot see them.

import { el, newId, svg } from "./dom.js";
import { compact, count } from "./format.js";

const HEIGHT = 260;
const LEFT = 52;
const BOTTOM = 28;
const TOP = 10;
const SHOWN = 6;

/** `places`: labels of the bars; `parts`: for each part its numbers, one a place, the largest part first. */
export function bars(places, parts, title) {
  const shown = [...parts.entries()].slice(0, SHOWN);
  const rest = [...parts.values()].slice(SHOWN);
  if (rest.length > 0) shown.push(["others", places.map((_, at) => rest.reduce((sum, row) => sum + row[at], 0))]);
  const sums = places.map((_, at) => shown.reduce((sum, [, row]) => sum + row[at], 0));
  const top = ceiling(Math.max(...sums, 1));
  const name = newId("chart");
  // Drawn as narrow as the window is, so that its letters stay legible.
  const wide = matchMedia("(max-width: 40rem)").matches ? 360 : 720;
  const step = (wide - LEFT) / places.length;
  const height = (value) => (value / top) * (HEIGHT - BOTTOM - TOP);
  const drawing = svg("svg", { viewBox: `0 0 ${wide} ${HEIGHT}`, role: "img", "aria-labelledby": name });
  drawing.append(svg("title", { id: name }, title));
  for (const share of [0, 0.5, 1]) {
    const y = HEIGHT - BOTTOM - height(top * share);
    drawing.append(svg("line", { x1: LEFT, x2: wide, y1: y, y2: y, class: "rule" }));
    drawing.append(svg("text", { x: LEFT - 8, y: y + 4, class: "end" }, compact(top * share)));
  }
  const every = Math.ceil((places.length * 90) / wide);
  for (const [at, place] of places.entries()) {
    let y = HEIGHT - BOTTOM;
    const width = Math.min(step * 0.7, 64);
    const x = LEFT + at * step + (step - width) / 2;
    for (const [number, [part, row]] of shown.entries()) {
      const tall = height(row[at]);
      y -= tall;
      if (tall === 0) continue;
      const told = svg("title", {}, `${place}, ${part}: ${count(row[at])}`);
      drawing.append(svg("rect", { x, y, width, height: tall, class: `part-${number}` }, told));
    }
    if (at % every === 0) {
      drawing.append(svg("text", { x: x + width / 2, y: HEIGHT - 8, class: "middle" }, place));
    }
  }
  const legend = shown.map(([part], number) =>
    el("li", {}, svg("svg", { viewBox: "0 0 10 10", class: "mark", "aria-hidden": "true" },
      svg("rect", { width: 10, height: 10, rx: 2, class: `part-${number}` })), ` ${part}`),
  );
  return el("figure", {}, drawing, el("ul", { class: "legend" }, legend));
}

/** The next number that is round. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 6, 8, 10].map((step) => step * power).find((round) => round >= value);
}
