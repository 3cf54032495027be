/** Addresses and message ids as WPP servers write them: texts, or objects with the text in `_serialized`. */
import { type Json, isObject, objectOf, textOf } from "../meta/json.ts";
import type { WppPerson } from "./types.ts";
import { lookUp } from "./look-up.ts";

export type WppAddress =
  | { kind: "phone"; digits: string }
  | { kind: "lid"; digits: string }
  | { kind: "group"; id: string }
  /** A broadcast, a channel, or nothing at all. */
  | { kind: "none" };

const NOBODY: WppAddress = { kind: "none" };
const SERVERS: Readonly<Record<string, "phone" | "lid">> = {
  "c.us": "phone",
  "s.whatsapp.net": "phone",
  hosted: "phone",
  lid: "lid",
  "hosted.lid": "lid",
};

/** `<digits>@c.us`, `<digits>:<device>@lid`, `…@g.us`, or a phone as a person writes it. */
export function addressOf(value: unknown): WppAddress {
  const text = serialized(value);
  if (text === null) return NOBODY;
  const at = text.lastIndexOf("@");
  if (at < 0) return digitsOf("phone", text);
  const server = text.slice(at + 1).toLowerCase();
  if (server === "g.us") return { kind: "group", id: `${text.slice(0, at)}@g.us` };
  const kind = lookUp(SERVERS, server);
  if (kind === undefined) return NOBODY;
  return digitsOf(kind, text.slice(0, at).replace(/:\d*$/, ""));
}

/** The first that is an address. */
export function firstAddress(...values: unknown[]): WppAddress {
  for (const value of values) {
    const address = addressOf(value);
    if (address.kind !== "none") return address;
  }
  return NOBODY;
}

/** The first that is anybody's. */
export function firstKnown(...addresses: readonly WppAddress[]): WppAddress {
  return addresses.find(({ kind }) => kind !== "none") ?? NOBODY;
}

/** The first that is a person's. */
export function firstPerson(...addresses: readonly WppAddress[]): WppAddress {
  return addresses.find(({ kind }) => kind === "phone" || kind === "lid") ?? NOBODY;
}

/** The text of an address or id; `{user, server}` is written together. */
function serialized(value: unknown): string | null {
  if (!isObject(value)) return textOf(value);
  const whole = textOf(value["_serialized"]) ?? textOf(value["$1"]);
  if (whole !== null) return whole;
  const [user, server] = [textOf(value["user"]), textOf(value["server"])];
  return user === null || server === null ? null : `${user}@${server}`;
}

function digitsOf(kind: "phone" | "lid", text: string): WppAddress {
  const digits = text.replaceAll(/[^0-9]/g, "");
  return digits === "" ? NOBODY : { kind, digits };
}

/** As facts have it: digits, or `lid:` and digits. */
export function partyText(address: WppAddress): string | null {
  if (address.kind === "phone") return address.digits;
  return address.kind === "lid" ? `lid:${address.digits}` : null;
}

/** Undefined: no person has this address. */
export function personAt(address: WppAddress, name: string | null = null): WppPerson | undefined {
  const named = name === null ? {} : { name };
  if (address.kind === "phone") return { phone: address.digits, ...named };
  return address.kind === "lid" ? { lid: address.digits, ...named } : undefined;
}

/** An id, and what can be read from it. */
export type WppMessageId = {
  id: string | null;
  isOwn: boolean | undefined;
  chat: WppAddress;
  participant: WppAddress;
};

const PARTS = /^(true|false)_([^_]+)_([^_]+)(?:_(.+))?$/;

/** `<true|false>_<chat>_<hex>[_<participant>]`, as a text or as an object of these parts. */
export function messageIdOf(value: unknown): WppMessageId {
  const object = objectOf(value);
  const id = isObject(value) ? (serialized(value) ?? joined(object)) : textOf(value);
  const parts = PARTS.exec(id ?? "");
  const isOwn = typeof object["fromMe"] === "boolean" ? object["fromMe"] : undefined;
  return {
    id,
    isOwn: isOwn ?? (parts ? parts[1] === "true" : undefined),
    chat: firstAddress(object["remote"], parts?.[2]),
    participant: firstAddress(object["participant"], parts?.[4]),
  };
}

function joined(object: Json): string | null {
  const [remote, id] = [serialized(object["remote"]), textOf(object["id"])];
  if (remote === null || id === null || typeof object["fromMe"] !== "boolean") return id;
  const participant = serialized(object["participant"]);
  return [object["fromMe"], remote, id, ...(participant === null ? [] : [participant])].join("_");
}
