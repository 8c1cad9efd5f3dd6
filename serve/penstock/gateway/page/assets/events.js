// Reads a stream of server-sent events.

/** The data of each event, in order; comments under `comment`. */
export async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith(":")) yield { comment: line.slice(1).trim() };
        else if (line.startsWith("data:")) yield { data: line.slice(5).trim() };
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // It is over already, or whoever reads wants no more.
  }
}
