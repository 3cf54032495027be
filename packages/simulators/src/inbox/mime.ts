/** Reads the mails that arrive: headers, encoded words, the text and the HTML part. What it does not know stays raw. */
export type Mail = {
  headers: ReadonlyMap<string, string>;
  subject: string;
  text: string;
  html: string;
};

type Part = { headers: Map<string, string>; body: Buffer };

export function readMail(raw: Buffer): Mail {
  const whole = partOf(raw);
  const mail = { text: "", html: "" };
  collect(whole, mail, 0);
  const headers = new Map([...whole.headers].map(([name, value]) => [name, decodeWords(value)]));
  return { headers, subject: headers.get("subject") ?? "", ...mail };
}

const DEEPEST = 5;

function collect(part: Part, into: { text: string; html: string }, depth: number): void {
  const type = part.headers.get("content-type") ?? "text/plain";
  const boundary = /boundary="?([^";]+)"?/i.exec(type)?.[1];
  if (/^multipart\//i.test(type) && boundary !== undefined && depth < DEEPEST) {
    const marked = `\r\n${part.body.toString("latin1")}`.split(`\r\n--${boundary}`);
    // The first is the preamble, the one that begins with two dashes the end.
    for (const text of marked.slice(1)) {
      if (text.startsWith("--")) break;
      collect(partOf(Buffer.from(text.replace(/^[ \t]*\r\n/, ""), "latin1")), into, depth + 1);
    }
    return;
  }
  const content = decodeBody(part);
  if (/^text\/html/i.test(type)) into.html += content;
  else if (/^text\//i.test(type)) into.text += content;
}

function partOf(raw: Buffer): Part {
  const text = raw.toString("latin1");
  const end = text.startsWith("\r\n") ? 0 : text.indexOf("\r\n\r\n");
  const head = end < 0 ? text : text.slice(0, end);
  const headers = new Map<string, string>();
  for (const line of head.replaceAll(/\r\n[ \t]+/g, " ").split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const start = end === 0 ? 2 : end + 4;
  return { headers, body: end < 0 ? Buffer.alloc(0) : raw.subarray(start) };
}

function decodeBody({ headers, body }: Part): string {
  const encoding = headers.get("content-transfer-encoding")?.toLowerCase();
  if (encoding === "base64") return Buffer.from(body.toString("latin1"), "base64").toString();
  if (encoding !== "quoted-printable") return body.toString();
  return quoted(body.toString("latin1").replaceAll(/=\r\n/g, ""));
}

function quoted(text: string): string {
  const bytes = text.replaceAll(/=([0-9A-F]{2})/gi, (_whole, hex: string) =>
    String.fromCodePoint(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, "latin1").toString();
}

/** RFC 2047, UTF-8 only. */
function decodeWords(text: string): string {
  const joined = text.replaceAll(/\?=\s+=\?/g, "?==?");
  return joined.replaceAll(/(?:=\?utf-8\?[bq]\?[^?]*\?=)+/gi, (words) => {
    const parts = [...words.matchAll(/=\?utf-8\?([bq])\?([^?]*)\?=/gi)].map(
      ([, kind = "", value = ""]) =>
        kind.toLowerCase() === "b"
          ? Buffer.from(value, "base64")
          : Buffer.from(
              value
                .replaceAll("_", " ")
                .replaceAll(/=([0-9A-F]{2})/gi, (_whole, hex: string) =>
                  String.fromCodePoint(Number.parseInt(hex, 16)),
                ),
              "latin1",
            ),
    );
    return Buffer.concat(parts).toString();
  });
}
