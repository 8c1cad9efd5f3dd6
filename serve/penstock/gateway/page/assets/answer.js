// One answer of one model: asks, reads the stream, and measures.

import { Refusal, send } from "./api.js";
import { events } from "./events.js";

const HELD = "x-penstock-held-ms";

/**
 * Ask for a chat completion.
 *
 * Args:
 *   body: of the request, without `stream`.
 *   signal: ends it, at the engine too.
 *   onText: gets the answer so far, and what the model thought before, whenever there is more.
 *
 * Resolves to what was measured: times in seconds from when it was asked, tokens as the engine counted them.
 */
export async function ask(body, { signal, onText }) {
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const seen = { text: "", thoughts: "", first: null, last: null, tokens: null, prompt: null, finish: null };
  const asked = { ...body, stream: true, stream_options: { include_usage: true } };
  const response = await send("v1/chat/completions", { method: "POST", body: asked, signal });
  let whole = false;
  let held = Number(response.headers.get(HELD) ?? 0);
  for await (const { data, comment } of events(response.body)) {
    // A stream that began before its answer says it in between.
    if (comment?.startsWith(`${HELD}: `)) held = Number(comment.slice(HELD.length + 2));
    if (data === undefined) continue;
    if (data === "[DONE]") {
      whole = true;
      break;
    }
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Refusal(response.status, chunk.error, response.headers.get("x-request-id"));
    if (take(chunk, seen)) {
      seen.last = seconds();
      seen.first ??= seen.last;
      onText(seen.text, seen.thoughts);
    }
  }
  if (!whole) throw new Error("The answer broke off.");
  return { ...seen, total: seconds(), held: held / 1000 };
}

/** Whether the chunk brought text. */
function take(chunk, seen) {
  if (chunk.usage) {
    seen.tokens = chunk.usage.completion_tokens;
    seen.prompt = chunk.usage.prompt_tokens;
  }
  const choice = chunk.choices?.[0];
  seen.finish = choice?.finish_reason ?? seen.finish;
  const text = choice?.delta?.content ?? "";
  const thoughts = choice?.delta?.reasoning_content ?? choice?.delta?.reasoning ?? "";
  seen.text += text;
  seen.thoughts += thoughts;
  return Boolean(text || thoughts);
}

/** Tokens in a second after the first one; null where there are too few to tell. */
export function pace({ tokens, first, last }) {
  return tokens > 1 && last > first ? (tokens - 1) / (last - first) : null;
}
