import type { Connection } from "../connection.ts";
import type { Device } from "../device.ts";
import type { FaultArgs } from "../faults.ts";
import { GROUP_SERVER, LID_SERVER, parseJid } from "../jid.ts";
import type { Phone } from "../phone.ts";
import type { WhatsAppServer } from "../server.ts";
import { el, kid, kids, unixNow } from "../stanza.ts";
import type { Stanza } from "../stanza.ts";
import { isTimelocked } from "../timelock.ts";
import { post } from "./letter.ts";
import type { Chat, Copy } from "./letter.ts";

/** A linked device sends a message: refuse it, or hand a copy to every device it is encrypted for. */
export function handleClientMessage(connection: Connection, stanza: Stanza): void {
  const { device, server } = connection;
  if (!device) {
    server.reportUnhandled(stanza);
    return;
  }
  server.stats.messagesIn++;
  const loss = takeFault(device, "lose-message", stanza);
  if (loss && loss["deliver"] !== true) {
    if (loss["cut"] === true) connection.drop();
    return;
  }
  const chat = chatOf(server, stanza);
  const error = refusal(device, stanza, chat);
  if (error === undefined && chat) deliver(device, stanza, chat);
  if (!loss) connection.send(ack(stanza, error));
  else if (loss["cut"] === true) connection.drop();
}

function ack({ attrs }: Stanza, error: string | undefined): Stanza {
  const { id = "", to = "" } = attrs;
  const fields = { class: "message", id, from: to, t: String(unixNow()) };
  return el("ack", error === undefined ? fields : { ...fields, error });
}

/** For a copy to an own device the chat is named by `recipient`. */
function chatOf(server: WhatsAppServer, { attrs }: Stanza): Chat | undefined {
  const jid = attrs["recipient"] ?? attrs["to"] ?? "";
  if (parseJid(jid).server === GROUP_SERVER) {
    const group = server.groups.get(jid);
    return group && { kind: "group", group };
  }
  const account = server.find(jid);
  return account && { kind: "person", account };
}

function deliver(device: Device, stanza: Stanza, chat: Chat): void {
  const { id = "", to = "", type = "text", category, edit } = stanza.attrs;
  const envelope = {
    id,
    sender: { account: device.account, deviceId: device.id },
    chat,
    to: stanza.attrs["recipient"] ?? to,
    type,
    t: unixNow(),
    attrs: { ...(category === undefined ? {} : { category }), ...(edit ? { edit } : {}) },
  };
  post(
    envelope,
    chat.kind === "group" ? groupCopies(device, stanza, chat) : copies(device, stanza),
  );
}

/** Each device gets what is encrypted for it; a stanza without a list is for the one device it names. */
function copies({ account: { server } }: Device, stanza: Stanza): Copy[] {
  const along = kids(stanza, "device-identity");
  const direct = kids(stanza, "enc");
  const listed = kids(kid(stanza, "participants"), "to").map((node) => ({
    jid: node.attrs["jid"] ?? "",
    enc: kids(node, "enc"),
  }));
  if (direct.length > 0) listed.push({ jid: stanza.attrs["to"] ?? "", enc: direct });
  return listed.flatMap(({ jid, enc }) => {
    const target = server.find(jid)?.target(parseJid(jid).device);
    return target ? [{ target, content: [...enc, ...along] }] : [];
  });
}

/** One ciphertext for all members, and for some of them the key to it. */
function groupCopies(
  device: Device,
  stanza: Stanza,
  { group }: Extract<Chat, { kind: "group" }>,
): Copy[] {
  const { server } = device.account;
  const along = kids(stanza, "device-identity");
  const shared = kids(stanza, "enc");
  const { participant } = stanza.attrs;
  if (participant !== undefined) {
    const target = server.find(participant)?.target(parseJid(participant).device);
    return target ? [{ target, content: [...shared, ...along] }] : [];
  }
  const keys = new Map<Phone | Device | undefined, Stanza[]>();
  for (const node of kids(kid(stanza, "participants"), "to")) {
    const jid = node.attrs["jid"] ?? "";
    keys.set(server.find(jid)?.target(parseJid(jid).device), kids(node, "enc"));
  }
  return group
    .targets()
    .filter((target) => target !== device)
    .map((target) => ({ target, content: [...(keys.get(target) ?? []), ...shared, ...along] }));
}

/** @returns the error code of a refused message */
function refusal(device: Device, stanza: Stanza, chat: Chat | undefined): string | undefined {
  const fault = takeFault(device, "refuse-message", stanza);
  if (fault) return String(fault["error"]);
  if (!chat) return "404";
  const { account } = device;
  if (chat.kind === "group") return chat.group.members.has(account) ? undefined : "403";
  const other = chat.account;
  if (other === account) return undefined;
  const isKnown = account.hasMet(other);
  if (!isKnown && isTimelocked(account) && account.timelock) {
    // every further try to reach a stranger makes it longer
    account.timelock.endsAt += TIMELOCK_PENALTY_S;
    return "463";
  }
  const { requireToken, requireLid } = other.options;
  if (requireToken && !isKnown && !kid(stanza, "tctoken")) return "463";
  const isLid = parseJid(stanza.attrs["to"] ?? "").server === LID_SERVER;
  return requireLid && !isLid ? "463" : undefined;
}

const TIMELOCK_PENALTY_S = 60;

/** A standing fault of this sender; its `to`, a number or a group, narrows it to one chat. */
function takeFault(
  device: Device,
  kind: "lose-message" | "refuse-message",
  stanza: Stanza,
): FaultArgs | undefined {
  const { server, phone } = device.account;
  const chat = (): string => {
    const jid = stanza.attrs["recipient"] ?? stanza.attrs["to"] ?? "";
    return parseJid(jid).server === GROUP_SERVER ? jid : (server.find(jid)?.phone ?? "");
  };
  const isPeer = stanza.attrs["category"] === "peer";
  return server.faults.take(
    kind,
    { phone, deviceId: device.id },
    (args) => !isPeer && (args["to"] === undefined || args["to"] === chat()),
  );
}
