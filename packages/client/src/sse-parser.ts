/** Server-Sent Events off the wire, by the HTML standard. */
export type SseMessage = { readonly event: string; readonly data: string };

/** A message longer than this is no event of ours. */
const MOST_CHARACTERS = 4_000_000;

/** What a stream of bytes says. Ends with the stream; what is unfinished then is dropped. */
export async function* readSse(bytes: ReadableStream<Uint8Array>): AsyncGenerator<SseMessage> {
  let rest = "";
  let event = "";
  let data: string[] = [];
  let size = 0;
  for await (const text of bytes.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    if (rest.length + size > MOST_CHARACTERS) throw new Error("an event is too long");
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) yield { event: event || "message", data: data.join("\n") };
        event = "";
        data = [];
        size = 0;
        continue;
      }
      const [name, value] = fieldOf(line);
      if (name === "event") event = value;
      if (name === "data") {
        data.push(value);
        size += value.length;
      }
    }
  }
}

/** A line that begins with a colon is a comment: its name is empty. */
function fieldOf(line: string): [name: string, value: string] {
  const at = line.indexOf(":");
  if (at < 0) return [line, ""];
  return [line.slice(0, at), line.slice(line[at + 1] === " " ? at + 2 : at + 1)];
}
