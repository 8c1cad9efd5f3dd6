// Usage: tokens by day, and what models, teams or keys took. Everything from /admin/usage.

import { administer } from "./api.js";
import { bars } from "./chart.js";
import { el, field } from "./dom.js";
import { compact, count } from "./format.js";
import { guarded } from "./guarded.js";

const DAY = 86_400_000;
const SPANS = { "7 days": 7, "30 days": 30, "90 days": 90 };
const PARTS = ["model", "team", "key"];

export function usageView() {
  const chosen = { days: 7, part: "model" };
  return guarded("Usage", async (again) => {
    const since = new Date(Math.floor(Date.now() / DAY) * DAY - (chosen.days - 1) * DAY);
    const query = new URLSearchParams({ by: `day,${chosen.part}`, since: since.toISOString() });
    const report = await administer(`usage?${query}`);
    const choose = (name, convert) => (event) => {
      chosen[name] = convert(event.target.value);
      again();
    };
    const spans = Object.entries(SPANS).map(([label, days]) =>
      el("option", { value: days, selected: days === chosen.days }, label),
    );
    const parts = PARTS.map((part) => el("option", { selected: part === chosen.part }, part));
    const choices = el(
      "div",
      { class: "row" },
      field("Time", el("select", { onchange: choose("days", Number) }, spans)),
      field("Told apart by", el("select", { onchange: choose("part", String) }, parts)),
    );
    if (report.rows.length === 0) return [choices, el("p", {}, "Nothing was used in this time.")];
    return [choices, totals(report.total), picture(report, since, chosen), table(report, chosen.part)];
  });
}

function totals(total) {
  const facts = [
    ["Requests", total.requests],
    ["Failed", total.failed],
    ["Prompt tokens", total.prompt_tokens],
    ["of them cached", total.cached_tokens],
    ["Answer tokens", total.completion_tokens],
  ];
  return el(
    "dl",
    { class: "totals" },
    facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", { title: count(value) }, compact(value)))),
  );
}

const tokens = (row) => row.prompt_tokens + row.completion_tokens;

function picture(report, since, { days, part }) {
  const dates = Array.from({ length: days }, (_, at) => new Date(since.getTime() + at * DAY).toISOString().slice(0, 10));
  const sums = summed(report, part);
  const rows = new Map(sums.map(([name]) => [name, dates.map(() => 0)]));
  for (const row of report.rows) rows.get(row[part])[dates.indexOf(row.start.slice(0, 10))] += tokens(row);
  return bars(dates.map((date) => date.slice(5)), rows, `Tokens by day and ${part}, the last ${days} days`);
}

/** What each part took, the most first. */
function summed(report, part) {
  const sums = new Map();
  for (const row of report.rows) {
    const sum = sums.get(row[part]) ?? { requests: 0, prompt_tokens: 0, completion_tokens: 0, cached_tokens: 0 };
    for (const name of Object.keys(sum)) sum[name] += row[name];
    sums.set(row[part], sum);
  }
  return [...sums].sort(([, one], [, other]) => tokens(other) - tokens(one));
}

function table(report, part) {
  const cells = (row) => [row.requests, row.prompt_tokens, row.cached_tokens, row.completion_tokens];
  const titles = [part[0].toUpperCase() + part.slice(1), "Requests", "Prompt tokens", "Cached", "Answer tokens"];
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": `Usage by ${part}` },
    el(
      "table",
      {},
      el("caption", {}, `Usage by ${part}`),
      el("thead", {}, el("tr", {}, titles.map((title, at) => el("th", { scope: "col", class: at > 0 && "number" }, title)))),
      el(
        "tbody",
        {},
        summed(report, part).map(([name, row]) =>
          el(
            "tr",
            {},
            el("th", { scope: "row" }, name),
            cells(row).map((cell) => el("td", { class: "number" }, count(cell))),
          ),
        ),
      ),
    ),
  );
}
