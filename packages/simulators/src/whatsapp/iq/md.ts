import type { Account } from "../account.ts";
import type { Connection } from "../connection.ts";
import { parseJid } from "../jid.ts";
import { HELLO_ERRORS } from "../options.ts";
import type { HelloError } from "../options.ts";
import { acceptHello, takeFinish } from "../pairing-code-server.ts";
import { passkeyOptions } from "../passkey.ts";
import { bytes, kid } from "../stanza.ts";
import type { Stanza } from "../stanza.ts";
import type { IqHandler } from "./router.ts";

const HOUR_MS = 3_600_000;

/** Linked-device management: pairing codes, own logout, passkey options. */
export const handleMd: IqHandler = (connection, iq, child) => {
  switch (child?.tag) {
    case "link_code_companion_reg":
      return handleCode(connection, iq, child);
    case "remove-companion-device":
      connection.reply(iq);
      removeSelf(connection, child);
      return true;
    case "passkey_request_options":
      connection.reply(iq, [passkeyOptions(connection)]);
      return true;
    case undefined:
    default:
      return false;
  }
};

/** A device may log out itself; only the phone can log out others. */
function removeSelf(connection: Connection, child: Stanza): void {
  const { device } = connection;
  if (device && parseJid(child.attrs["jid"] ?? "").device === device.id) {
    connection.server.removeDevice(device);
  }
}

function handleCode(connection: Connection, iq: Stanza, child: Stanza): boolean {
  if (!connection.registration) return false;
  switch (child.attrs["stage"]) {
    case "companion_hello":
      hello(connection, iq, child);
      return true;
    case "companion_finish":
      if (takeFinish(connection, child)) connection.reply(iq);
      else connection.replyError(iq, 400, HELLO_ERRORS[400]);
      return true;
    case undefined:
    default:
      return false;
  }
}

function hello(connection: Connection, iq: Stanza, child: Stanza): void {
  const { server } = connection;
  server.stats.hellos++;
  const account = server.find(child.attrs["jid"] ?? "");
  const options = account?.options ?? server.options;
  if (options.helloAnswer === "silent") return;
  const refusal = options.helloAnswer === "accept" ? refuse(account, child) : options.helloAnswer;
  if (refusal !== undefined || !account) {
    const code = refusal ?? 404;
    connection.replyError(iq, code, HELLO_ERRORS[code]);
    return;
  }
  connection.reply(iq, [acceptHello(connection, account, child)]);
}

function refuse(account: Account | undefined, child: Stanza): HelloError | undefined {
  if (!account) return 404;
  const { displayRule, throttleAfter } = account.options;
  const display = bytes(kid(child, "companion_platform_display"))?.toString() ?? "";
  if (displayRule !== null && !new RegExp(displayRule).test(display)) return 400;
  if (throttleAfter === null) return undefined;
  const hourAgo = Date.now() - account.server.scaled(HOUR_MS);
  account.helloTimes = account.helloTimes.filter((time) => time > hourAgo);
  return account.helloTimes.length >= throttleAfter ? 429 : undefined;
}
