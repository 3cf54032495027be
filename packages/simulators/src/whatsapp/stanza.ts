import type { BinaryNode } from "@whiskeysockets/baileys";

/** A stanza: the XML-like unit of the WhatsApp protocol, in the shape the codec reads and writes. */
export type Stanza = BinaryNode;

/** The server's own address. */
export const SERVER_JID = "@s.whatsapp.net";

export function el(
  tag: string,
  attrs: Record<string, string> = {},
  content?: Stanza["content"],
): Stanza {
  return content === undefined ? { tag, attrs } : { tag, attrs, content };
}

/** Child elements, all of them or those with one tag. Text and binary content has no children. */
export function kids(node: Stanza | undefined, tag?: string): Stanza[] {
  if (!Array.isArray(node?.content)) return [];
  return tag === undefined ? node.content : node.content.filter((child) => child.tag === tag);
}

export function kid(node: Stanza | undefined, tag: string): Stanza | undefined {
  return kids(node, tag)[0];
}

/** Binary content; text content as UTF-8; undefined when the element is missing or has children. */
export function bytes(node: Stanza | undefined): Buffer | undefined {
  const content = node?.content;
  if (content === undefined || Array.isArray(content)) return undefined;
  return Buffer.from(content as Uint8Array);
}

/** Binary content that must be there and, if `length` is given, must have that length. */
export function requireBytes(node: Stanza | undefined, what: string, length?: number): Buffer {
  const value = bytes(node);
  if (value === undefined) throw new StanzaError(`${what} is missing`);
  if (length !== undefined && value.length !== length) {
    throw new StanzaError(`${what} has ${value.length} bytes instead of ${length}`);
  }
  return value;
}

export function uint(value: number, length: number): Buffer {
  const out = Buffer.alloc(length);
  out.writeUIntBE(value, 0, length);
  return out;
}

/** Unix time in seconds, as stanzas carry it. */
export function unixNow(): number {
  return Math.floor(Date.now() / 1000);
}

/** A client sent a stanza that lacks what the protocol demands. Answered with error 400 where an answer exists. */
export class StanzaError extends Error {
  override name = "StanzaError";
}
