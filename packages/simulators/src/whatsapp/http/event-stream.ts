import type { IncomingMessage, ServerResponse } from "node:http";
import type { Account } from "../account.ts";
import type { Device } from "../device.ts";
import type { WhatsAppServer } from "../server.ts";
import { receivedView } from "./messages.ts";
import { deviceView, phoneView } from "./views.ts";

const KEEP_ALIVE_MS = 15_000;

/**
 * `GET /events`, server-sent events. Names and data:
 * `linked`, `unlinked`, `login`, `live`: {msisdn, device}; `code-requested`: {msisdn, display};
 * `message`: {msisdn, message}, what a phone received; `closed`: {msisdn?, deviceId?}; `phone-changed`: the phone as `GET /phones/{msisdn}` shows it.
 */
export function streamEvents(
  server: WhatsAppServer,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
  });
  response.write(": connected\n\n");
  const send = (name: string, data: unknown) => {
    response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  const sendDevice = (name: string) => (device: Device) => {
    send(name, { msisdn: device.account.phone, device: deviceView(device) });
  };
  const { events } = server;
  const offs = [
    ...(["linked", "unlinked", "login", "live"] as const).map((name) =>
      events.on(name, sendDevice(name)),
    ),
    events.on("code-requested", ({ account, display }) => {
      send("code-requested", { msisdn: account.phone, display });
    }),
    events.on("closed", ({ device }) => {
      send("closed", device ? { msisdn: device.account.phone, deviceId: device.id } : {});
    }),
    events.on("message", ({ phone, message }) => {
      send("message", { msisdn: phone.account.phone, message: receivedView(message) });
    }),
    events.on("phone-changed", (account: Account) => send("phone-changed", phoneView(account))),
  ];
  const timer = setInterval(() => response.write(": still here\n\n"), KEEP_ALIVE_MS);
  request.on("close", () => {
    clearInterval(timer);
    for (const off of offs) off();
  });
}
