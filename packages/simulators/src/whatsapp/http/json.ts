import type { IncomingMessage, ServerResponse } from "node:http";

export const BODY_LIMIT_BYTES = 256 * 1024;

/** An answer other than 2xx; the body is `{error: {code, message}}`. */
export class HttpError extends Error {
  override name = "HttpError";
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export type JsonObject = Record<string, unknown>;

/**
 * The body as JSON; no body is an empty object.
 * @throws {HttpError} 400 for what is not JSON, 413 over the limit
 */
export async function readJson(
  request: IncomingMessage,
  limitBytes = BODY_LIMIT_BYTES,
): Promise<unknown> {
  const body = await readBody(request, limitBytes);
  return body.length === 0 ? {} : parse(body.toString());
}

/** @throws {HttpError} 413 over the limit */
export async function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > limitBytes) throw new HttpError(413, "body_too_large", "The body is too large.");
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** @throws {HttpError} 400 for anything but a JSON object */
export function asObject(value: unknown): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new HttpError(400, "bad_body", "The body must be a JSON object.");
  }
  return value as JsonObject;
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new HttpError(400, "bad_body", "The body is not JSON.");
  }
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent) return;
  const text = JSON.stringify(body);
  const type = "application/json; charset=utf-8";
  response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(text);
}

export function sendError(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
): void {
  sendJson(response, status, { error: { code, message } });
}

/** A field that must be a string if it is there. */
export function optionalString(body: JsonObject, name: string): string | undefined {
  return optional(body, name, "string") as string | undefined;
}

export function optionalBoolean(body: JsonObject, name: string): boolean | undefined {
  return optional(body, name, "boolean") as boolean | undefined;
}

/** A whole number from 0 on, if it is there. */
export function optionalCount(body: JsonObject, name: string): number | undefined {
  const value = optional(body, name, "number") as number | undefined;
  if (value !== undefined && (!Number.isInteger(value) || value < 0)) {
    throw new HttpError(400, "bad_body", `${name} must be a whole number.`);
  }
  return value;
}

export function requiredString(body: JsonObject, name: string): string {
  const value = optionalString(body, name);
  if (value === undefined) throw new HttpError(400, "bad_body", `${name} is missing.`);
  return value;
}

function optional(body: JsonObject, name: string, type: string): unknown {
  const value = body[name];
  if (value !== undefined && typeof value !== type) {
    throw new HttpError(400, "bad_body", `${name} must be a ${type}.`);
  }
  return value;
}
