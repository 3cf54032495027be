import { Refusal } from "./refusal.ts";

/** An answer of the gateway that is not a success. */
export class RestError extends Error {
  override name = "RestError";
  readonly status: number;
  readonly code: string | undefined;

  constructor(request: string, status: number, body: unknown) {
    const fields = typeof body === "object" && body !== null ? body : {};
    const detail = "detail" in fields ? fields.detail : "title" in fields ? fields.title : "";
    const errors = errorsOf(fields);
    const remedy = "remedy" in fields ? fields.remedy : "";
    const texts = errors.length > 0 ? errors : [detail, remedy];
    const said = texts.filter((text) => typeof text === "string" && text !== "");
    const code = "code" in fields && typeof fields.code === "string" ? fields.code : undefined;
    // What has no code is not the gateway's: then the request helps to find out whose it is.
    super(`${code ?? `${request}: ${status}`}${said.length > 0 ? ": " : ""}${said.join(" ")}`);
    this.status = status;
    this.code = code;
  }
}

/** One event of a stream; `data` is its lines. */
export type Followed = { event: string; data: string };

export type Rest = {
  (method: string, path: string, body?: unknown): Promise<unknown>;
  /** Server-sent events as they come, until the stream or the signal ends. */
  follow?: (path: string, signal: AbortSignal) => AsyncGenerator<Followed>;
};

/** A small client of our own REST API, with the admin token. */
export function createRest(baseUrl: string, adminToken: string): Rest {
  const rest: Rest = async (method, path, body) => {
    let response: Response;
    try {
      response = await fetch(`${baseUrl}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${adminToken}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(15_000),
      });
    } catch (cause) {
      throw new Refusal(`Manyline does not answer at ${baseUrl}; is npm start running?`, { cause });
    }
    const text = await response.text();
    const answer = parse(text);
    if (!response.ok) throw new RestError(`${method} ${path}`, response.status, answer);
    return answer;
  };
  rest.follow = (path, signal) => followStream(baseUrl, adminToken, path, signal);
  return rest;
}

async function* followStream(
  baseUrl: string,
  adminToken: string,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Followed> {
  try {
    const headers = { authorization: `Bearer ${adminToken}`, accept: "text/event-stream" };
    const response = await fetch(`${baseUrl}${path}`, { headers, signal });
    if (!response.ok) {
      throw new RestError(`GET ${path}`, response.status, parse(await response.text()));
    }
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of response.body ?? []) {
      const parts = `${rest}${decoder.decode(chunk, { stream: true })}`.split("\n\n");
      rest = parts.pop() ?? "";
      for (const part of parts) {
        const followed = followedIn(part);
        if (followed) yield followed;
      }
    }
  } catch (cause) {
    if (signal.aborted) return;
    if (cause instanceof RestError) throw cause;
    throw new Refusal(`Manyline at ${baseUrl} has ended the stream, or does not answer.`, {
      cause,
    });
  }
}

/** Undefined: a comment, which keeps the connection open. */
function followedIn(part: string): Followed | undefined {
  const fields = part.split("\n").map((line) => /^([a-z]+): ?(.*)$/.exec(line));
  const valuesOf = (name: string): string[] =>
    fields.flatMap((field) => (field?.[1] === name ? (field[2] ?? "") : []));
  const data = valuesOf("data");
  return data.length === 0
    ? undefined
    : { event: valuesOf("event")[0] ?? "message", data: data.join("\n") };
}

/** A text field of an answer; throws when the answer has none. */
export function textField(answer: unknown, name: string): string {
  if (typeof answer === "object" && answer !== null) {
    const value: unknown = Object.getOwnPropertyDescriptor(answer, name)?.value;
    if (typeof value === "string") return value;
  }
  throw new Error(`the gateway's answer has no ${name}`);
}

/** Which field broke which rule. */
function errorsOf(fields: object): string[] {
  const errors: unknown = "errors" in fields ? fields.errors : [];
  if (!Array.isArray(errors)) return [];
  return errors.map(
    (error: unknown) => `${textField(error, "field")} ${textField(error, "message")}.`,
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
