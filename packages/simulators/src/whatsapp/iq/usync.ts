import type { Account } from "../account.ts";
import { lidJid, pnJid } from "../jid.ts";
import { bytes, el, kid, kids, unixNow } from "../stanza.ts";
import type { Stanza } from "../stanza.ts";
import type { IqHandler } from "./router.ts";

/** Asks about users: are they on WhatsApp, which devices do they have, what is their LID. */
export const handleUsync: IqHandler = (connection, iq, usync) => {
  if (usync?.tag !== "usync") return false;
  const wanted = new Set(kids(kid(usync, "query")).map((node) => node.tag));
  const users = kids(kid(usync, "list"), "user").map((user) => {
    const jid = askedFor(user);
    const account = connection.server.find(jid);
    return el("user", { jid }, account ? known(account, wanted) : unknown(wanted));
  });
  const content = [el("result"), el("list", {}, users)];
  connection.reply(iq, [el("usync", { ...usync.attrs }, content)]);
  return true;
};

/** by jid, or by a phone number as a person writes it */
function askedFor(user: Stanza): string {
  if (user.attrs["jid"]) return user.attrs["jid"];
  const phone = bytes(kid(user, "contact"))?.toString() ?? "";
  return pnJid(phone.replace(/\D/g, ""));
}

function known(account: Account, wanted: Set<string>): Stanza[] {
  const content: Stanza[] = [];
  if (wanted.has("contact")) content.push(el("contact", { type: "in" }));
  if (wanted.has("devices")) content.push(deviceList(account));
  if (wanted.has("lid")) content.push(el("lid", { val: lidJid(account.lid) }));
  if (wanted.has("status")) content.push(el("status", {}, Buffer.alloc(0)));
  return content;
}

function unknown(wanted: Set<string>): Stanza[] {
  return wanted.has("contact") ? [el("contact", { type: "out" })] : [];
}

/** Clients drop devices other than the phone that come without a key index. */
function deviceList(account: Account): Stanza {
  const companions = [...account.devices.values()].map((device) =>
    el("device", { id: String(device.id), "key-index": String(device.keyIndex) }),
  );
  return el("devices", {}, [
    el("device-list", {}, [el("device", { id: "0" }), ...companions]),
    el("key-index-list", { ts: String(unixNow()) }),
  ]);
}
