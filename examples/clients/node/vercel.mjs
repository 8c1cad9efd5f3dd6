// The Vercel AI SDK: an answer, a stream, and vectors.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embed, generateText, streamText } from "ai";

const penstock = createOpenAICompatible({
  name: "penstock",
  baseURL: `${process.env.PENSTOCK_URL ?? "http://localhost:8000"}/v1`,
  apiKey: process.env.PENSTOCK_API_KEY ?? "none",
});
const question = { model: penstock("demo"), temperature: 0, prompt: "What is the capital of France?" };

const { text } = await generateText(question);
console.log(text);

for await (const piece of streamText(question).textStream) {
  process.stdout.write(piece);
}
console.log();

const { embedding } = await embed({ model: penstock.textEmbeddingModel("all-minilm-l6-v2"), value: "Paris" });
console.log(`${embedding.length} numbers`);
