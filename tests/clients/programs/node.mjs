// A row of the matrix in Node: `node node.mjs openai|vercel URL`. Prints what it saw as JSON.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import OpenAI from "openai";

const [row, url] = process.argv.slice(2);
const content = "Hello";
const rows = {
  openai() {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
    const ask = (more) =>
      client.chat.completions.create({ model: "demo", temperature: 0, max_tokens: 9, messages: [{ role: "user", content }], ...more });
    return {
      chat: async () => (await ask({})).choices[0].message.content,
      async stream() {
        const pieces = [];
        for await (const chunk of await ask({ stream: true })) pieces.push(chunk.choices[0].delta.content ?? "");
        return pieces.filter(Boolean);
      },
      error: () => ask({ model: "dmeo" }),
      async cancel() {
        const stream = await ask({ stream: true, max_tokens: 90000 });
        for await (const chunk of stream) {
          const piece = chunk.choices[0].delta.content;
          if (!piece) continue;
          stream.controller.abort();
          return piece;
        }
      },
    };
  },
  vercel() {
    const penstock = createOpenAICompatible({ name: "penstock", baseURL: `${url}/v1`, apiKey: "none" });
    const asked = { model: penstock("demo"), temperature: 0, maxOutputTokens: 9, maxRetries: 0, prompt: content };
    return {
      chat: async () => (await generateText(asked)).text,
      async stream() {
        const pieces = [];
        for await (const piece of streamText(asked).textStream) pieces.push(piece);
        return pieces;
      },
      error: () => generateText({ ...asked, model: penstock("dmeo") }),
      async cancel() {
        const leaving = new AbortController();
        const endless = { ...asked, maxOutputTokens: 90000, abortSignal: leaving.signal };
        for await (const piece of streamText(endless).textStream) {
          if (!piece) continue;
          leaving.abort();
          return piece;
        }
      },
    };
  },
};

const client = rows[row]();
const seen = { chat: await client.chat(), stream: await client.stream() };
try {
  await client.error();
} catch (error) {
  seen.error = error.message;
}
seen.cancel = await client.cancel();
console.log(JSON.stringify(seen));
// Not by the end of this process does the gateway hear that nobody waits: it stays until it is told to go.
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
