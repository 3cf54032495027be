/**
 * What WhatsApp says around a ciphertext. Baileys hands its Signal repository the bytes alone; who wrote them,
 * to which chat and under which id stands in the stanza, which a listener in front of Baileys' own sees first.
 */
import { createHash } from "node:crypto";
import {
  areJidsSameUser,
  isJidNewsletter,
  isJidStatusBroadcast,
  type BinaryNode,
} from "@whiskeysockets/baileys";

/** One encrypted part of a message stanza, or a stanza without one. It goes into the journal as it is. */
export type StanzaPart = {
  /** The attributes of the message. */
  attrs: Readonly<Record<string, string>>;
  /** The attributes of the encrypted part. */
  enc: Readonly<Record<string, string>>;
  /** Written by the account itself, on its phone or on another linked device. */
  isOwn: boolean;
  /** Why there is no plaintext. */
  missing?: MissingReason;
};

/**
 * `undecryptable`: the sender is asked for another copy. `view_once`: WhatsApp shows it on the phone only.
 * `unavailable`: WhatsApp had no copy for this device; the phone is asked for one.
 */
const MISSING_REASONS = ["undecryptable", "view_once", "unavailable"] as const;
export type MissingReason = (typeof MISSING_REASONS)[number];

/** Who we are at WhatsApp. */
export type OwnIdentity = { id: string | undefined; lid: string | undefined };

/** `isLast`: nothing of its stanza comes after it. */
type Noted = { part: StanzaPart; hash: Buffer; isLast: boolean };

/** What the library opens, and (`msmsg`) what it acknowledges unread. The rest nobody here can read. */
const ENCRYPTIONS: ReadonlySet<string> = new Set(["pkmsg", "msg", "skmsg", "msmsg"]);

export class StanzaIndex {
  /** By the very object that Baileys passes on; an entry lives as long as its stanza does. */
  readonly #parts = new WeakMap<Uint8Array, Noted>();

  /** Takes note of a message stanza. Returns the part that stands for it when nothing in it can be decrypted. */
  note(node: BinaryNode, me: OwnIdentity): Noted | undefined {
    const { attrs } = node;
    if (isJidStatusBroadcast(attrs["from"] ?? "") || isJidNewsletter(attrs["from"]))
      return undefined;
    const author = attrs["participant"] ?? attrs["from"];
    const isOwn = areJidsSameUser(author, me.id) || areJidsSameUser(author, me.lid);
    const children = Array.isArray(node.content) ? node.content : [];
    let hasContent = false;
    let last: Noted | undefined;
    for (const child of children) {
      if (child.tag === "plaintext") hasContent = true;
      if (child.tag !== "enc" || !(child.content instanceof Uint8Array)) continue;
      if (!ENCRYPTIONS.has(child.attrs["type"] ?? "")) continue;
      hasContent = true;
      const part = { attrs, enc: child.attrs, isOwn };
      last = { part, hash: hashOf(part, child.content), isLast: false };
      this.#parts.set(child.content, last);
    }
    if (last) last.isLast = true;
    if (hasContent) return undefined;
    const unavailable = children.find(({ tag }) => tag === "unavailable");
    const isViewOnce = unavailable?.attrs["type"]?.startsWith("view_once") === true;
    const part: StanzaPart = {
      attrs,
      enc: {},
      isOwn,
      missing: isViewOnce ? "view_once" : "unavailable",
    };
    return { part, hash: hashOf(part, new Uint8Array()), isLast: true };
  }

  /** The part whose ciphertext this is; the same object, not equal bytes. */
  of(ciphertext: Uint8Array): Noted | undefined {
    return this.#parts.get(ciphertext);
  }
}

const ENC = "enc.";
const OWN = "is.own";
const MISSING = "is.missing";

/** As the journal keeps it. Names of attributes hold no dot, so the three kinds of names cannot meet. */
export function packPart({ attrs, enc, isOwn, missing }: StanzaPart): Record<string, string> {
  const packed: Record<string, string> = { ...attrs };
  for (const [name, value] of Object.entries(enc)) packed[ENC + name] = value;
  if (isOwn) packed[OWN] = "1";
  if (missing !== undefined) packed[MISSING] = missing;
  return packed;
}

export function unpackPart(packed: Readonly<Record<string, string>>): StanzaPart {
  const attrs: Record<string, string> = {};
  const enc: Record<string, string> = {};
  for (const [name, value] of Object.entries(packed)) {
    if (name.startsWith(ENC)) enc[name.slice(ENC.length)] = value;
    else if (name !== OWN && name !== MISSING) attrs[name] = value;
  }
  const missing = MISSING_REASONS.find((reason) => reason === packed[MISSING]);
  return { attrs, enc, isOwn: OWN in packed, ...(missing === undefined ? {} : { missing }) };
}

/** Where in the journal it stands that a part could not be decrypted: beside its plaintext, not instead of it. */
export function missingHash(hash: Buffer): Buffer {
  return createHash("sha256").update("missing").update(hash).digest();
}

/** The same bytes again are the same delivery; another copy of the same message is not. */
function hashOf({ attrs, enc }: StanzaPart, ciphertext: Uint8Array): Buffer {
  const names = [attrs["from"], attrs["participant"], attrs["id"], enc["type"]];
  return createHash("sha256")
    .update(names.map((name) => name ?? "").join("|"))
    .update("\0")
    .update(ciphertext)
    .digest();
}
