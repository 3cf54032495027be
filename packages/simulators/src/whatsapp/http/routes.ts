import type { Device } from "../device.ts";
import { applyFault, clearFaults, FAULT_KINDS } from "../fault-actions.ts";
import { checkPhoneOptions, checkServerOptions } from "../options.ts";
import type { WhatsAppServer } from "../server.ts";
import { adopt, ADOPT_LIMIT_BYTES } from "./adopt.ts";
import {
  HttpError,
  optionalBoolean,
  optionalCount,
  optionalString,
  requiredString,
} from "./json.ts";
import type { JsonObject } from "./json.ts";
import { GROUP_ROUTES } from "./groups.ts";
import { MESSAGE_ROUTES } from "./messages.ts";
import { readMsisdn } from "./msisdn.ts";
import { phoneOf, route } from "./route.ts";
import type { Route, RouteInput } from "./route.ts";
import { phoneView, statsView } from "./views.ts";

/** The control API. What `run` returns is the JSON of a 200. */
export const ROUTES: readonly Route[] = [
  route("GET", "/root", ({ server, url }) => ({ url, rootPublicKey: server.rootPublicKey })),
  route("GET", "/stats", ({ server }) => statsView(server)),
  route("GET", "/options", ({ server }) => server.options),
  route("PATCH", "/options", ({ server, body }) =>
    Object.assign(server.options, checkServerOptions(body)),
  ),
  route("GET", "/phones", ({ server }) => ({ phones: [...server.directory.all()].map(phoneView) })),
  route("GET", "/phones/:", (input) => phoneView(phoneOf(input))),
  route("PUT", "/phones/:", putPhone),
  route("POST", "/phones/:/scan", async (input) => {
    const qr = requiredString(input.body, "qr");
    return linked(await phoneOf(input).primary.scan(qr));
  }),
  route("POST", "/phones/:/enter-code", async (input) => {
    const code = requiredString(input.body, "code");
    return linked(await phoneOf(input).primary.enterCode(code));
  }),
  route("POST", "/phones/:/unlink", (input) => {
    const deviceId = optionalCount(input.body, "deviceId");
    return { unlinked: phoneOf(input).primary.unlink(deviceId) };
  }),
  ...MESSAGE_ROUTES,
  ...GROUP_ROUTES,
  route("POST", "/adopt", ({ server, json }) => adopt(server, json), {
    takesArray: true,
    bodyLimit: ADOPT_LIMIT_BYTES,
  }),
  route("GET", "/record", ({ server, query }) => ({ logins: server.record.list(filterOf(query)) })),
  route("GET", "/record/summary", ({ server, query }) => server.record.summary(filterOf(query))),
  route("GET", "/faults", ({ server }) => ({ kinds: FAULT_KINDS, standing: server.faults.list })),
  route("POST", "/faults", ({ server, body }) => postFault(server, body)),
  route("DELETE", "/faults", ({ server }) => {
    clearFaults(server);
    return {};
  }),
];

function filterOf(query: URLSearchParams): { since?: number; phone?: string } {
  const since = query.get("since");
  const phone = query.get("phone");
  if (since !== null && !/^\d+$/.test(since)) {
    throw new HttpError(400, "bad_query", "since is a time in milliseconds.");
  }
  return {
    ...(since === null ? {} : { since: Number(since) }),
    ...(phone === null ? {} : { phone: readMsisdn(phone) }),
  };
}

/** Sets what the body names. `options` replaces all earlier options of this phone; `{}` clears them. */
function putPhone({ server, params, body }: RouteInput): unknown {
  const msisdn = readMsisdn(params[0]);
  const name = optionalString(body, "name");
  const exists = optionalBoolean(body, "exists");
  const isOnline = optionalBoolean(body, "online");
  const options = body["options"] === undefined ? undefined : checkPhoneOptions(body["options"]);
  const isNew = server.directory.get(msisdn) === undefined;
  const account = server.account(msisdn);
  if (name !== undefined) account.name = name;
  if (exists !== undefined || isNew) account.exists = exists ?? true;
  if (isOnline !== undefined) account.primary.isOnline = isOnline;
  if (options) account.overrides = options;
  server.touch();
  server.events.emit("phone-changed", account);
  return phoneView(account);
}

function linked(device: Device): unknown {
  return { result: "linked", deviceId: device.id };
}

function postFault(server: WhatsAppServer, body: JsonObject): unknown {
  const args = body["args"] ?? {};
  if (typeof args !== "object" || Array.isArray(args) || args === null) {
    throw new HttpError(400, "bad_body", "args must be an object.");
  }
  const phone = body["phone"] === undefined ? undefined : readMsisdn(body["phone"]);
  const deviceId = optionalCount(body, "deviceId");
  const times = optionalCount(body, "times");
  return applyFault(server, {
    kind: requiredString(body, "kind"),
    args: args as JsonObject,
    phone,
    deviceId,
    ...(times === undefined ? {} : { times }),
  });
}
