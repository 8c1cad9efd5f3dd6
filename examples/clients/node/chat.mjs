// OpenAI's client for Node: an answer, then the same one as a stream.
import OpenAI from "openai";

const client = new OpenAI({
  baseURL: `${process.env.PENSTOCK_URL ?? "http://localhost:8000"}/v1`,
  apiKey: process.env.PENSTOCK_API_KEY ?? "none",
});
const question = {
  model: "demo",
  temperature: 0,
  messages: [{ role: "user", content: "What is the capital of France?" }],
};

const answer = await client.chat.completions.create(question);
console.log(answer.choices[0].message.content);

for await (const chunk of await client.chat.completions.create({ ...question, stream: true })) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}
console.log();
