// A request written as code, ready to paste: with what each language has of itself, and in Python with OpenAI's client.
// Pure.

/** The languages, by their names: `(body, base, key) => text`. `key`: whether one is needed. */
export const LANGUAGES = {
  cURL: (body, base, key) =>
    [
      `curl --no-buffer ${base}/chat/completions \\`,
      "  -H 'Content-Type: application/json' \\",
      ...(key ? ['  -H "Authorization: Bearer $PENSTOCK_API_KEY" \\'] : []),
      `  -d '${json(body).replaceAll("'", "'\\''")}'`,
    ].join("\n"),

  Python: (body, base, key) => `${key ? "import os\n\n" : ""}from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(base)}, api_key=${key ? 'os.environ["PENSTOCK_API_KEY"]' : '"none"'})
${body.stream ? "stream" : "answer"} = client.chat.completions.create(
${Object.entries(body)
  .map(([name, value]) => `    ${name}=${python(value)},`)
  .join("\n")}
)
${
  body.stream
    ? `for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()`
    : "print(answer.choices[0].message.content)"
}`,

  Node: (body, base, key) => `const response = await fetch(${JSON.stringify(`${base}/chat/completions`)}, {
  method: "POST",
  headers: {
    "Content-Type": "application/json",
${key ? "    Authorization: `Bearer ${process.env.PENSTOCK_API_KEY}`,\n" : ""}  },
  body: JSON.stringify(${indented(json(body))}),
});
if (!response.ok) throw new Error(await response.text());
${
  body.stream
    ? `let rest = "";
for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split("\\n");
  rest = lines.pop();
  for (const line of lines) {
    if (!line.startsWith("data: {")) continue;
    process.stdout.write(JSON.parse(line.slice(6)).choices[0]?.delta?.content ?? "");
  }
}
console.log();`
    : "console.log((await response.json()).choices[0].message.content);"
}`,

  Go: (body, base, key) => `package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"strings"
)

func main() {
	body := ${goString(json(body))}
	request, err := http.NewRequest("POST", ${JSON.stringify(`${base}/chat/completions`)}, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
${key ? '\trequest.Header.Set("Authorization", "Bearer "+os.Getenv("PENSTOCK_API_KEY"))\n' : ""}\tresponse, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(os.Stdout, response.Body); err != nil {
		log.Fatal(err)
	}
}`,
};

const json = (value) => JSON.stringify(value, null, 2);
const indented = (text) => text.replaceAll("\n", "\n  ");

/** A JSON value as Python writes it. JSON's strings are Python's as well. */
function python(value, indent = "    ") {
  if (value === true) return "True";
  if (value === false) return "False";
  if (value === null) return "None";
  const deeper = `${indent}    `;
  if (Array.isArray(value)) {
    return `[\n${value.map((one) => `${deeper}${python(one, deeper)},\n`).join("")}${indent}]`;
  }
  if (typeof value === "object") {
    return `{${Object.entries(value)
      .map(([name, one]) => `${JSON.stringify(name)}: ${python(one, deeper)}`)
      .join(", ")}}`;
  }
  return JSON.stringify(value);
}

/** A raw string of Go, which cannot hold its own quote. */
const goString = (text) => `\`${text.replaceAll("`", '` + "`" + `')}\``;
