/** One scenario for each line of the table of capabilities: what is asked, and how the other side sees that it was done. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { Capability, Engine } from "@manyline/contracts";
import { until } from "@manyline/testkit";
import type { Company, Json } from "../company.ts";
import { ANN, type Line, type Seen } from "./line.ts";

/** The number under test, and a message of Ann's that it has received. */
export type Room = {
  engine: Engine;
  company: Company;
  line: Line;
  /** Of Ann's message: ours, and the provider's. */
  hers: { messageId: string; providerMessageId: string };
};

type Ask = { path: string; body: Json };
type Scenario = {
  ask(room: Room): Ask | Promise<Ask>;
  /** What the answer of REST is when it can be done. */
  status: 200 | 202;
  /** Resolves when the other side has it. */
  done(room: Room, ask: Ask, answer: Json): Promise<unknown>;
};

/** What the bytes of each kind begin with, so that it is known as what it is. */
const FILES = {
  image: ["image/png", "\x89PNG\r\n\x1a\n"],
  video: ["video/mp4", "\0\0\0\x18ftypisom"],
  voice: ["audio/ogg", "OggS"],
  audio: ["audio/mpeg", "ID3"],
  document: ["application/pdf", "%PDF-1.7\n"],
  sticker: ["image/webp", "RIFF\0\0\0\0WEBP"],
} as const;
export type FileKind = keyof typeof FILES;

let serial = 0;
export const words = (): string => `good day ${(serial += 1)}`;

export function fileOf(kind: FileKind): { bytes: Buffer; mimeType: string } {
  const [mimeType, head] = FILES[kind];
  return { bytes: Buffer.concat([Buffer.from(head, "latin1"), randomBytes(400)]), mimeType };
}

const place = (line: Line): string => `messages?number=${line.numberId}`;

export const seen = (line: Line, is: (one: Seen) => boolean, where?: string): Promise<Seen> =>
  until(async () => (await line.sees(where)).find(is), { label: "seen", deadlineMs: 20_000 });

/** Some providers tell of changes what becomes of them, others do not. */
const TAKEN = ["sent", "delivered", "read"];
const messageIdIn = (answer: Json): string => String(answer["messageId"]);

/** A message to Ann that has its words, and reaches her. */
function said(type: Capability, partOf: (text: string) => Json, more?: object): Scenario {
  return {
    status: 202,
    ask: ({ line }) => {
      const text = words();
      return { path: place(line), body: { type, to: `+${ANN}`, ...partOf(text), ...more } };
    },
    done: async ({ company, line }, { body }, answer) => {
      const one = await seen(line, ({ text, type: is }) => is === type && isSaid(body, text));
      assert.equal(one.type, type);
      await company.becomes(messageIdIn(answer), "read");
    },
  };
}

/** Whether the words of what was asked for are these. */
const isSaid = (body: Json, text: string | null): boolean =>
  text !== null && JSON.stringify(body).includes(JSON.stringify(text));

/** Of what was asked: the bytes of the file; the words of the message that is changed. */
const bytesOf = new WeakMap<Ask, Buffer>();
const formerWords = new WeakMap<Ask, string>();

/** A file to Ann, uploaded before, of which she gets every byte. */
function file(kind: FileKind, more: Json = {}): Scenario {
  return {
    status: 202,
    ask: async ({ company, line }) => {
      const { bytes, mimeType } = fileOf(kind);
      const mediaId = await company.upload(line.numberId, bytes, mimeType);
      const ask = { path: place(line), body: { type: kind, to: `+${ANN}`, mediaId, ...more } };
      bytesOf.set(ask, bytes);
      return ask;
    },
    done: async ({ company, line }, ask, answer) => {
      const bytes = bytesOf.get(ask) ?? Buffer.alloc(0);
      const one = await seen(line, (each) => each.file?.equals(bytes) === true);
      const { caption } = ask.body;
      assert.deepEqual([one.type, one.text], [kind, caption ?? null]);
      await company.becomes(messageIdIn(answer), "read");
    },
  };
}

/** To an address that is no phone. */
function to(addressOf: (line: Line) => string | Promise<string>, unknown: string): Scenario {
  return {
    status: 202,
    ask: async ({ line }) => {
      const address = await Promise.resolve()
        .then(() => addressOf(line))
        .catch(() => unknown);
      return { path: place(line), body: { type: "text", to: address, text: words() } };
    },
    done: ({ line }, { body }) =>
      seen(line, ({ text }) => text === body["text"], String(body["to"])),
  };
}

/** A change of a message that the number itself has sent before. */
function change(type: "edit" | "delete", more: () => Json): Scenario {
  return {
    status: 202,
    ask: async ({ company, line }) => {
      const before = words();
      const body = { type: "text", to: `+${ANN}`, text: before };
      const messageId = await company.send(line.numberId, body);
      await company.becomes(messageId, "read");
      await seen(line, ({ text }) => text === before);
      const ask = { path: place(line), body: { type, messageId, ...more() } };
      formerWords.set(ask, before);
      return ask;
    },
    done: async ({ company, line }, ask, answer) => {
      const { text: after } = ask.body;
      if (after !== undefined) await seen(line, ({ text }) => text === after);
      const before = formerWords.get(ask);
      const isGone = async () => (await line.sees()).every(({ text }) => text !== before);
      await until(isGone, { label: "gone", deadlineMs: 20_000 });
      await company.becomes(messageIdIn(answer), ...TAKEN);
    },
  };
}

const buttons = (text: string): Json => ({
  type: "button",
  body: { text },
  action: { buttons: [{ type: "reply", reply: { id: "yes", title: "Yes" } }] },
});

export const SCENARIOS: Readonly<Record<Capability, Scenario>> = {
  text: said("text", (text) => ({ text })),
  image: file("image", { caption: "look" }),
  video: file("video"),
  voice: file("voice"),
  audio: file("audio"),
  document: file("document", { fileName: "bill.pdf" }),
  sticker: file("sticker"),
  location: said("location", (name) => ({ location: { latitude: 52.5, longitude: 13.25, name } })),
  contact: said("contact", (name) => ({ contacts: [{ name, phones: ["+491712345678"] }] })),
  poll: said("poll", (name) => ({ poll: { name, options: ["yes", "no"] } })),
  template: said("template", () => ({ template: { name: "hello", language: "en_US" } })),
  interactive: said("interactive", (text) => ({ interactive: buttons(text) })),
  reaction: {
    status: 202,
    ask: ({ line, hers }) => ({
      path: place(line),
      body: { type: "reaction", messageId: hers.messageId, emoji: "👍" },
    }),
    done: async ({ company, line, hers }, _ask, answer) => {
      const isThere = () =>
        line
          .reactions()
          .some(({ target, emoji }) => target === hers.providerMessageId && emoji === "👍");
      await until(isThere, { label: "reaction", deadlineMs: 20_000 });
      await company.becomes(messageIdIn(answer), ...TAKEN);
    },
  },
  edit: change("edit", () => ({ text: words() })),
  delete: change("delete", () => ({})),
  read: {
    status: 200,
    ask: ({ line, hers }) => ({
      path: place(line),
      body: { type: "read", messageIds: [hers.messageId] },
    }),
    done: ({ line, hers }) => until(() => line.isRead(hers.providerMessageId), { label: "read" }),
  },
  typing: {
    status: 200,
    ask: ({ line }) => ({
      path: place(line),
      body: { type: "typing", to: `+${ANN}`, state: "typing" },
    }),
    done: ({ line }) => until(() => line.isTyping(), { label: "typing" }),
  },
  group: to((line) => line.group(), "120363000000000021@g.us"),
  lid: to((line) => line.lid(), "100000000000021@lid"),
  reply: {
    status: 202,
    ask: ({ line, hers }) => ({
      path: place(line),
      body: { type: "text", to: `+${ANN}`, text: words(), replyTo: hers.messageId },
    }),
    done: async ({ line, hers }, { body }) => {
      const { quotes } = await seen(line, ({ text }) => text === body["text"]);
      assert.equal(quotes, hers.providerMessageId);
    },
  },
  file_caption: file("video", { caption: "watch" }),
  view_once: file("image", { isViewOnce: true }),
  check_phones: {
    status: 200,
    ask: ({ line }) => ({ path: `check?number=${line.numberId}`, body: { phones: [`+${ANN}`] } }),
    done: (_room, _ask, answer) => {
      const [result] = answer["results"] as Json[];
      assert.deepEqual([result?.["phone"], result?.["isOnWhatsapp"]], [ANN, true]);
      return Promise.resolve();
    },
  },
  pairing_code: {
    status: 200,
    // A number that is connected needs none: a code is asked for with another one, where there are codes.
    ask: async ({ company, engine, line }) => {
      if (engine !== "linked") return { path: `pairing-code?number=${line.numberId}`, body: {} };
      const phone = company.whole.world.room.phone();
      const numberId = await company.addNumber({ provider: "linked", phone: `+${phone}` });
      return { path: `pairing-code?number=${numberId}`, body: {} };
    },
    done: (_room, _ask, { code }) => Promise.resolve(assert.match(String(code), /^\w{4}-\w{4}$/)),
  },
};
