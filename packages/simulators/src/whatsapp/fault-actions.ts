import type { Account } from "./account.ts";
import type { Connection } from "./connection.ts";
import { stanzaId } from "./crypto.ts";
import { STANDING_FAULTS } from "./faults.ts";
import type { FaultArgs, FaultScope, StandingFaultKind } from "./faults.ts";
import { lidJid } from "./jid.ts";
import { isVersion, OptionError } from "./options.ts";
import { codeNotification } from "./pairing-code.ts";
import { sendRefreshCode } from "./pairing-code-server.ts";
import { parseQr } from "./pairing-qr.ts";
import { requestPasskey } from "./passkey.ts";
import type { WhatsAppServer } from "./server.ts";
import { setTimelock } from "./timelock.ts";
import { el, SERVER_JID, unixNow } from "./stanza.ts";

/** One fault, as `POST /faults` takes it. README.md lists the kinds and their arguments. */
export type FaultRequest = FaultScope & {
  kind: string;
  args?: FaultArgs;
  /** standing faults only: occasions after which it is gone */
  times?: number;
};

type Action = (connection: Connection, args: FaultArgs) => void;

/** Faults that act at once on every connection in scope. */
const ACTIONS: Record<string, Action> = {
  drop: (connection) => connection.drop(),
  blackhole: (connection) => {
    connection.isBlackhole = true;
  },
  "ws-close": (connection, args) => connection.close(integer(args, "code", 1011)),
  xmlstreamend: (connection) => connection.send(el("xmlstreamend")),
  replaced: (connection) => connection.replaced(),
  "stream-error": (connection, args) => {
    const code = args["code"];
    const child = text(args, "child", code === undefined ? "xml-not-well-formed" : "");
    const attrs = code === undefined ? undefined : { code: String(integer(args, "code")) };
    connection.streamError(attrs ?? {}, child === "" ? undefined : [el(child)]);
  },
  downgrade: (connection) => {
    connection.send(el("ib", { from: SERVER_JID }, [el("downgrade_webclient")]));
  },
  "edge-routing": (connection, args) => {
    const info = Buffer.from(text(args, "routingInfo", "CAIIBQ=="), "base64");
    const routing = el("edge_routing", {}, [el("routing_info", {}, info)]);
    connection.send(el("ib", { from: SERVER_JID }, [routing]));
  },
  "refresh-code": (connection, args) => {
    const isOwn = text(args, "ref", "own") === "own";
    if (connection.code) sendRefreshCode(connection.code, isOwn, args["force"] === true);
  },
  "empty-notification": (connection) => connection.send(codeNotification()),
  "companion-refresh": (connection, args) => {
    const { options } = connection.code?.account ?? connection.server;
    const refreshChild = text(args, "child", options.refreshChild);
    const qr = args["qr"];
    const secret = typeof qr === "string" ? parseQr(qr).advSecret.toString("base64") : undefined;
    connection.refresh.send({ refreshChild }, secret);
  },
  passkey: (connection) => requestPasskey(connection),
  "pre-keys-low": ({ device }, args) => device?.askForPreKeys(integer(args, "count", 4)),
  unlink: ({ device }) => device?.account.primary.unlink(device.id),
};

/** Faults of clients that are not linked yet; the others are for logged-in devices as well. */
const UNPAIRED_ONLY = new Set([
  "refresh-code",
  "empty-notification",
  "companion-refresh",
  "passkey",
]);

/** The linked devices of everybody there is a chat with hear of it. @returns how many */
function tellNewIdentity(account: Account): number {
  let told = 0;
  for (const other of account.server.directory.all()) {
    if (!other.hasMet(account)) continue;
    for (const device of other.devices.values()) {
      const from = lidJid(account.lid);
      const attrs = { from, type: "encrypt", id: stanzaId(), t: String(unixNow()) };
      device.push(el("notification", attrs, [el("identity")]));
      told += 1;
    }
  }
  return told;
}

/** Faults of an account, whether it is connected or not. They return how many devices they concern. */
const ACCOUNT_FAULTS: Record<string, (account: Account, args: FaultArgs) => number> = {
  timelock: setTimelock,
  "forget-sessions": ({ primary }) => {
    primary.keys.forgetSessions();
    return 1;
  },
  "new-identity": (account, { push = true }) => {
    account.primary.reinstall();
    return push === true ? tellNewIdentity(account) : 0;
  },
};

export const FAULT_KINDS: readonly string[] = [
  ...Object.keys(ACTIONS),
  ...Object.keys(ACCOUNT_FAULTS),
  ...STANDING_FAULTS,
];

/** Attributes that the real server adds, by reason. */
const FAILURE_ATTRS: Record<number, Record<string, string>> = {
  402: { code: "104", expire: "86400" },
  403: {
    logout_message_header: "Your account is locked",
    logout_message_subtext: "Open WhatsApp on your phone for more.",
  },
};

/**
 * Applies a fault.
 * @returns how many connections it hit; standing faults hit none yet
 * @throws {OptionError} for an unknown kind or unfit arguments
 */
export function applyFault(server: WhatsAppServer, request: FaultRequest): { affected: number } {
  const { kind, args = {}, times = Number.POSITIVE_INFINITY } = request;
  const scope = { phone: request.phone, deviceId: request.deviceId };
  if (isStanding(kind)) {
    server.faults.add(kind, scope, standingArgs(kind, args), times);
    return { affected: 0 };
  }
  const accountFault = ACCOUNT_FAULTS[kind];
  if (accountFault) {
    if (request.phone === undefined) throw new OptionError(`${kind} needs a phone`);
    return { affected: accountFault(server.phone(request.phone).account, args) };
  }
  const action = ACTIONS[kind];
  if (!action) throw new OptionError(`there is no fault ${kind}`);
  if (kind === "unlink" && request.phone !== undefined) {
    const account = server.directory.get(request.phone); // also a device that is offline
    return { affected: account?.primary.unlink(request.deviceId) ?? 0 };
  }
  const hit = targets(server, kind, scope, args);
  for (const connection of hit) action(connection, args);
  return { affected: hit.length };
}

/** Removes standing faults. Black-holed connections are cut: they have lost bytes and cannot go on. */
export function clearFaults(server: WhatsAppServer): void {
  server.faults.clear();
  for (const connection of server.connections) if (connection.isBlackhole) connection.drop();
}

/** Faults of devices that have logged in. */
const LINKED_ONLY = new Set(["pre-keys-low"]);

/** Without a scope: every connection the kind is for. `args.qr` names the connection that shows that QR. */
function targets(
  server: WhatsAppServer,
  kind: string,
  scope: FaultScope,
  args: FaultArgs,
): Connection[] {
  if (typeof args["qr"] === "string") {
    const connection = server.refs.get(parseQr(args["qr"]).ref);
    return connection ? [connection] : [];
  }
  return [...server.connections].filter((connection) => {
    const { device, code } = connection;
    if (UNPAIRED_ONLY.has(kind) && !connection.registration) return false;
    if (LINKED_ONLY.has(kind) && !device) return false;
    if (scope.phone !== undefined) {
      if ((device ?? code)?.account.phone !== scope.phone) return false;
    }
    return scope.deviceId === undefined || device?.id === scope.deviceId;
  });
}

function standingArgs(kind: StandingFaultKind, args: FaultArgs): FaultArgs {
  switch (kind) {
    case "login-failure": {
      const { reason, ...extra } = args;
      if (reason === null) return { attrs: strings(extra) }; // a failure without a reason
      const code = integer(args, "reason", 401);
      const attrs = { reason: String(code), ...FAILURE_ATTRS[code], ...strings(extra) };
      return { attrs };
    }
    case "min-version":
      if (!isVersion(args["version"])) throw new OptionError("version must be three numbers");
      return args;
    case "refuse-upgrades":
      return { status: integer(args, "status", 503) };
    case "refuse-message":
      return { ...args, error: integer(args, "error", 463) };
    case "swallow-iq":
    case "lose-message":
    case "lose-receipts":
    case "garble":
      return args;
  }
}

function isStanding(kind: string): kind is StandingFaultKind {
  return (STANDING_FAULTS as readonly string[]).includes(kind);
}

function strings(args: FaultArgs): Record<string, string> {
  return Object.fromEntries(Object.entries(args).map(([name, value]) => [name, String(value)]));
}

function integer(args: FaultArgs, name: string, fallback?: number): number {
  const value = args[name] ?? fallback;
  if (!Number.isInteger(value)) throw new OptionError(`${name} must be a whole number`);
  return Number(value);
}

function text(args: FaultArgs, name: string, fallback: string): string {
  const value = args[name] ?? fallback;
  if (typeof value !== "string") throw new OptionError(`${name} must be a string`);
  return value;
}
