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

export type Rest = (method: string, path: string, body?: unknown) => Promise<unknown>;

/** A small client of our own REST API, with the admin token. */
export function createRest(baseUrl: string, adminToken: string): Rest {
  return async (method, path, body) => {
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
