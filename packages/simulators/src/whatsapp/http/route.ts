import type { Account } from "../account.ts";
import type { WhatsAppServer } from "../server.ts";
import { HttpError } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { readMsisdn } from "./msisdn.ts";

export type RouteInput = {
  server: WhatsAppServer;
  url: string;
  params: string[];
  query: URLSearchParams;
  /** an empty object when the body is an array */
  body: JsonObject;
  /** the body as it came */
  json: unknown;
};

export type RouteOptions = { takesArray?: boolean; bodyLimit?: number };

/** What `run` returns is the JSON of a 200; a Buffer is sent as it is. */
export type Route = RouteOptions & {
  method: string;
  path: RegExp;
  run(input: RouteInput): unknown;
};

/** @param path each `:` stands for one part, handed over in `params` */
export function route(
  method: string,
  path: string,
  run: Route["run"],
  options: RouteOptions = {},
): Route {
  return { ...options, method, path: new RegExp(`^${path.replaceAll(":", "([^/]+)")}$`), run };
}

/** Reading a phone makes it when every number has WhatsApp: then it is there already, only not in memory. */
export function phoneOf({ server, params }: RouteInput): Account {
  return accountOf(server, params[0]);
}

/** @throws {HttpError} 400 for what is no number, 404 for one nobody made */
export function accountOf(server: WhatsAppServer, value: unknown): Account {
  const msisdn = readMsisdn(value);
  const known = server.directory.get(msisdn);
  if (!known && !server.options.autoAccounts) {
    throw new HttpError(404, "phone_not_found", "There is no such phone. Make it with PUT.");
  }
  return known ?? server.account(msisdn);
}
