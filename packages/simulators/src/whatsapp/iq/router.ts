import type { Connection } from "../connection.ts";
import { kids } from "../stanza.ts";
import type { Stanza } from "../stanza.ts";
import { handleEncrypt } from "./encrypt.ts";
import { handleGroups } from "./groups.ts";
import { handleMd } from "./md.ts";
import { handlePassive, SIMPLE_FAMILIES } from "./simple.ts";
import { handleUsync } from "./usync.ts";

/**
 * Answers one request. `child` is its first element. A handler that does not know the request returns false
 * and it is answered with 501 and recorded.
 */
export type IqHandler = (
  connection: Connection,
  iq: Stanza,
  child: Stanza | undefined,
) => boolean | undefined;

/** by `xmlns` */
const FAMILIES: Record<string, IqHandler> = {
  ...SIMPLE_FAMILIES,
  passive: handlePassive,
  encrypt: handleEncrypt,
  usync: handleUsync,
  md: handleMd,
  "w:g2": handleGroups,
};

/** what a client may ask before it is logged in */
const BEFORE_LOGIN = new Set(["md", "w:p"]);

export function handleIq(connection: Connection, iq: Stanza): void {
  const { server } = connection;
  const child = kids(iq)[0];
  const xmlns = iq.attrs["xmlns"] ?? "";
  if (isSwallowed(connection, iq, child)) return;
  const family = FAMILIES[xmlns];
  const isAllowed = connection.device !== undefined || BEFORE_LOGIN.has(xmlns);
  if (family && isAllowed && family(connection, iq, child) !== false) return;
  server.reportUnhandled(iq);
  connection.replyError(iq, 501, "feature-not-implemented");
}

/** The fault `swallow-iq`: the request is never answered. */
function isSwallowed(connection: Connection, iq: Stanza, child: Stanza | undefined): boolean {
  const { device, code, server } = connection;
  const where = { phone: device?.account.phone ?? code?.account.phone, deviceId: device?.id };
  const matches = (args: Record<string, unknown>) =>
    (args["xmlns"] === undefined || args["xmlns"] === iq.attrs["xmlns"]) &&
    (args["type"] === undefined || args["type"] === iq.attrs["type"]) &&
    (args["child"] === undefined || args["child"] === child?.tag);
  return server.faults.take("swallow-iq", where, matches) !== undefined;
}
