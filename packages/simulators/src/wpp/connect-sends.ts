/** What the simulated WPPConnect Server sends, changes and takes back. */
import type { WppConnectSimulator } from "./connect.ts";
import { type ConnectMessage, type ConnectSession, newHex } from "./connect-world.ts";
import { ok, textIn, type WppAnswer } from "./http.ts";

/** What each call makes, and the field that has its content. */
const SENDS: Readonly<Record<string, { type: string; field: string }>> = {
  "send-message": { type: "chat", field: "message" },
  "send-reply": { type: "chat", field: "message" },
  "send-image": { type: "image", field: "base64" },
  "send-file": { type: "document", field: "base64" },
  "send-file-base64": { type: "document", field: "base64" },
  "send-voice": { type: "ptt", field: "base64Ptt" },
  "send-voice-base64": { type: "ptt", field: "base64Ptt" },
  "send-sticker": { type: "sticker", field: "path" },
  "send-location": { type: "location", field: "lat" },
  "contact-vcard": { type: "vcard", field: "contactsId" },
  "send-poll-message": { type: "poll_creation", field: "name" },
};
const CHANGES = new Set([
  "edit-message",
  "delete-message",
  "react-message",
  "typing",
  "recording",
  "send-seen",
  "chat-state",
]);

export function isSend(key: string): boolean {
  const [method, call = ""] = key.split(" ");
  return method === "POST" && (Object.hasOwn(SENDS, call) || CHANGES.has(call));
}

const refused = (message: string, status = 400): WppAnswer => ({
  status,
  body: { status: "Error", message },
});
const sent = (response: unknown): WppAnswer => ({
  status: 201,
  body: { status: "success", response, mapper: "return" },
});

export function answerSend(
  simulator: WppConnectSimulator,
  key: string,
  session: ConnectSession,
  body: Record<string, unknown>,
): WppAnswer {
  const call = key.split(" ")[1] ?? "";
  const send = SENDS[call];
  if (!send) return change(simulator, call, session, body);
  const isGroup = body["isGroup"] === true;
  const phones = phonesOf(body["phone"]);
  const unknown = phones.find((phone) => !isGroup && !simulator.world.isKnown(phone));
  if (unknown !== undefined || phones.length === 0) {
    return refused(`The number ${unknown ?? ""} does not exist.`);
  }
  const content = body[send.field] ?? body["path"];
  if (content === undefined) return refused(`${send.field} is missing`, 500);
  if (call === "contact-vcard" && !isAccounts(content)) return refused("not a valid contact", 500);
  const made = phones.map((phone) => {
    const isLid = body["isLid"] === true || (!isGroup && phone.length > 14);
    const chat = `${phone}@${isGroup ? "g.us" : isLid ? "lid" : "c.us"}`;
    const message: ConnectMessage = {
      id: `true_${chat}_${newHex("3EB0")}`,
      type: send.type,
      body: send.type === "chat" ? content : "",
      file: send.type === "chat" ? undefined : content,
      caption: body["caption"],
      to: chat,
      from: `${session.phone}@c.us`,
      fromMe: true,
      quotedMsgId: body["messageId"] ?? body["quotedMessageId"],
      ack: 0,
      t: Math.floor(Date.now() / 1_000),
      /** All that was asked for. */
      asked: body,
    };
    simulator.world.keep(session.name, message);
    simulator.progress(session, message);
    return message;
  });
  return sent(made);
}

/** Cards are made of accounts: digits, and where they are. */
function isAccounts(value: unknown): boolean {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  return list.length > 0 && list.every((one) => /^[0-9]{6,15}@c\.us$/.test(textIn(one)));
}

function phonesOf(value: unknown): string[] {
  const list: unknown[] = Array.isArray(value) ? value : textIn(value).split(/[,;]/);
  return list
    .map(
      (phone) =>
        textIn(phone)
          .split("@")[0]
          ?.replaceAll(/[^0-9-]/g, "") ?? "",
    )
    .filter(Boolean);
}

function change(
  { world }: WppConnectSimulator,
  call: string,
  session: ConnectSession,
  body: Record<string, unknown>,
): WppAnswer {
  if (!["edit-message", "delete-message", "react-message"].includes(call)) return sent({});
  const id = textIn(body["id"] ?? body["messageId"] ?? body["msgId"]);
  const message = world.find(session.name, id);
  if (!message) return { status: 400, body: { status: "error", message: "Message not found" } };
  if (call === "edit-message") message["body"] = body["newText"];
  if (call === "delete-message") message["isDeleted"] = true;
  if (call === "react-message") message["reaction"] = body["reaction"];
  return call === "react-message"
    ? ok({ status: "success", response: { message: "Reaction sended" } })
    : sent([message]);
}
