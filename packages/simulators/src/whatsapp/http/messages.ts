import { proto } from "@whiskeysockets/baileys";
import type { Content } from "../messages/contents.ts";
import type { ReceivedMessage } from "../messages/inbox.ts";
import { MEDIA_KINDS } from "../messages/media.ts";
import type { MediaKind } from "../messages/media.ts";
import type { SentMessage } from "../messages/outbox.ts";
import type { Phone } from "../phone.ts";
import { asObject, HttpError, optionalBoolean, optionalString, requiredString } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { accountOf, phoneOf, route } from "./route.ts";
import type { RouteInput } from "./route.ts";

const BODY_LIMIT_BYTES = 32 * 1024 * 1024;
const FROM_FILES = { takesArray: true, bodyLimit: BODY_LIMIT_BYTES };

/** What phones write and have received. */
export const MESSAGE_ROUTES = [
  route(
    "POST",
    "/phones/:/messages",
    (input) => {
      const { primary } = phoneOf(input);
      return each(input.json, (body) => send(primary, body));
    },
    FROM_FILES,
  ),
  route(
    "POST",
    "/messages",
    ({ server, json }) => each(json, (body) => send(accountOf(server, body["from"]).primary, body)),
    FROM_FILES,
  ),
  route("GET", "/phones/:/messages", listMessages),
  route("DELETE", "/phones/:/messages", (input) => {
    phoneOf(input).primary.messages.forget();
    return {};
  }),
  route("POST", "/phones/:/read", (input) => confirm(input, "read")),
  route("POST", "/phones/:/played", (input) => confirm(input, "played")),
  route("GET", "/phones/:/messages/:/file", (input) => {
    const file = phoneOf(input).primary.messages.file(input.params[1] ?? "");
    if (!file) throw new HttpError(404, "not_found", "There is no such file, or it is broken.");
    return file;
  }),
];

/** One object or many, answered in the same shape; many are begun in order. */
async function each(
  json: unknown,
  run: (body: JsonObject) => Promise<SentMessage>,
): Promise<unknown> {
  if (!Array.isArray(json)) return await run(asObject(json));
  const sent = await Promise.all(json.map((one) => run(asObject(one))));
  return sent;
}

async function send(phone: Phone, body: JsonObject): Promise<SentMessage> {
  const content = readContent(body);
  return phone.messages.send(requiredString(body, "to"), content, optionalString(body, "id"));
}

function confirm(input: RouteInput, type: "read" | "played"): unknown {
  const chat = requiredString(input.body, "chat");
  const id = optionalString(input.body, "id");
  return { confirmed: phoneOf(input).primary.messages.confirm(chat, type, id) };
}

function listMessages(input: RouteInput): unknown {
  const { messages } = phoneOf(input).primary;
  const chat = input.query.get("chat");
  const after = Number(input.query.get("after") ?? 0);
  const isWanted = (one: { chat: string }) => chat === null || one.chat === chat;
  const received = messages.received.filter((one) => isWanted(one) && one.seq > after);
  return {
    received: received.map(receivedView),
    sent: messages.sent.filter(isWanted),
    duplicates: received.reduce((sum, one) => sum + one.copies - 1, 0),
    waiting: messages.waiting,
  };
}

/** All but the protocol's own form, which holds keys. */
export function receivedView(received: ReceivedMessage): unknown {
  return { ...received, message: undefined };
}

/** `{text}`, or `{kind, …}` with the fields of that kind; files as base64 in `bytes`. */
function readContent(body: JsonObject): Content {
  const kind = optionalString(body, "kind") ?? "text";
  if (isMediaKind(kind)) return readMedia(kind, body);
  switch (kind) {
    case "text": {
      const quote = optionalString(body, "quote");
      const text = requiredString(body, "text");
      return quote === undefined ? { kind, text } : { kind, text, quote };
    }
    case "location": {
      const latitude = coordinate(body, "latitude");
      const longitude = coordinate(body, "longitude");
      return { kind, latitude, longitude, name: optionalString(body, "name") ?? "" };
    }
    case "contact":
      return { kind, name: requiredString(body, "name"), vcard: requiredString(body, "vcard") };
    case "reaction":
      return { kind, target: requiredString(body, "target"), emoji: requiredString(body, "emoji") };
    case "edit":
      return { kind, target: requiredString(body, "target"), text: requiredString(body, "text") };
    case "delete":
      return { kind, target: requiredString(body, "target") };
    case "poll": {
      const name = requiredString(body, "name");
      const selectable = body["selectable"] === undefined ? 0 : count(body, "selectable");
      return { kind, name, options: strings(body, "options"), selectable };
    }
    case "vote": {
      const target = requiredString(body, "target");
      return { kind, target, options: strings(body, "options") };
    }
    case "raw":
      return { kind, message: proto.Message.fromObject(asObject(body["message"])) };
    default:
      throw new HttpError(400, "bad_body", `There is no kind ${kind}.`);
  }
}

function readMedia(kind: MediaKind, body: JsonObject): Content {
  const caption = optionalString(body, "caption");
  const fileName = optionalString(body, "fileName");
  return {
    kind,
    bytes: Buffer.from(requiredString(body, "bytes"), "base64"),
    mimetype: requiredString(body, "mimetype"),
    voice: optionalBoolean(body, "voice") ?? false,
    ...(caption === undefined ? {} : { caption }),
    ...(fileName === undefined ? {} : { fileName }),
  };
}

function isMediaKind(kind: string): kind is MediaKind {
  return (MEDIA_KINDS as readonly string[]).includes(kind);
}

function strings(body: JsonObject, name: string): string[] {
  const value = body[name];
  if (Array.isArray(value) && value.every((one) => typeof one === "string")) return value;
  throw new HttpError(400, "bad_body", `${name} must be an array of strings.`);
}

function count(body: JsonObject, name: string): number {
  const value = body[name];
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw new HttpError(400, "bad_body", `${name} must be a whole number.`);
}

function coordinate(body: JsonObject, name: string): number {
  const value = body[name];
  if (typeof value === "number") return value;
  throw new HttpError(400, "bad_body", `${name} must be a number.`);
}
