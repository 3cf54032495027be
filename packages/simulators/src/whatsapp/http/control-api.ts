import type { IncomingMessage, ServerResponse } from "node:http";
import { OptionError } from "../options.ts";
import { PhoneError } from "../phone-error.ts";
import type { WhatsAppServer } from "../server.ts";
import { streamEvents } from "./event-stream.ts";
import { asObject, HttpError, readJson, sendError, sendJson } from "./json.ts";
import { serveMedia } from "./media.ts";
import { ROUTES } from "./routes.ts";
import { servePage } from "./static-page.ts";

export type ControlApi = {
  server: WhatsAppServer;
  /** address of the WebSocket */
  url(): string;
  /** built folder of the phone page */
  page: string | undefined;
};

/** Answers one HTTP request; never throws. */
export async function handleControl(
  api: ControlApi,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    await dispatch(api, request, response);
  } catch (error) {
    const { status, code, message } = describe(api.server, error);
    if (status === 413) response.setHeader("connection", "close");
    sendError(response, status, code, message);
  }
}

async function dispatch(
  api: ControlApi,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { server } = api;
  const method = request.method ?? "GET";
  const { path, query } = readUrl(request.url ?? "/");
  if (method === "GET" && path === "/events") {
    streamEvents(server, request, response);
    return;
  }
  if (await serveMedia(server, request, response, path)) return;
  const matching = ROUTES.filter((route) => route.path.test(path));
  const route = matching.find((each) => each.method === method);
  if (route) {
    const params = route.path.exec(path)?.slice(1) ?? [];
    const json = method === "GET" ? {} : await readJson(request, route.bodyLimit);
    const body = route.takesArray === true && Array.isArray(json) ? {} : asObject(json);
    const input = { server, url: api.url(), params, query, body, json };
    const answer = await route.run(input);
    if (Buffer.isBuffer(answer)) response.end(answer);
    else sendJson(response, 200, answer);
    return;
  }
  if (matching.length > 0) {
    throw new HttpError(405, "method_not_allowed", `${path} does not take ${method}.`);
  }
  if (method === "GET" && (await servePage(api.page, path, response))) return;
  throw new HttpError(404, "not_found", `There is no ${path}.`);
}

function readUrl(url: string): { path: string; query: URLSearchParams } {
  try {
    const { pathname, searchParams } = new URL(url, "http://localhost");
    return { path: decodeURIComponent(pathname), query: searchParams };
  } catch {
    throw new HttpError(400, "bad_url", "The address cannot be read.");
  }
}

function describe(
  server: WhatsAppServer,
  error: unknown,
): { status: number; code: string; message: string } {
  if (error instanceof HttpError) return error;
  if (error instanceof PhoneError) return { status: 409, code: error.code, message: error.message };
  if (error instanceof OptionError)
    return { status: 400, code: "bad_option", message: error.message };
  server.reportError(error);
  return { status: 500, code: "internal", message: "The simulator failed; see GET /stats." };
}
