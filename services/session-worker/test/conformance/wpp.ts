/** WPP numbers: the simulated WPP Platform, and the simulated WPPConnect Server. */
import assert from "node:assert/strict";
import type { Company } from "../company.ts";
import { ANN, type Line, type Seen, textOf, type Variant, without } from "./line.ts";

/** As the files of these kinds are named there. */
const NAMED: Readonly<Record<string, string>> = {
  "video.mp4": "video",
  "audio.mp3": "audio",
  "voice.ogg": "voice",
  "sticker.webp": "sticker",
};

async function openWpp(
  company: Company,
  extra: object,
): Promise<{ numberId: string; session: string; mend: () => Promise<void> }> {
  const made = await company.owned(() => company.wpp({ add_new: true, ...extra }));
  assert.equal(made.status, 200, JSON.stringify(made.body));
  const [numberId, session] = [String(made.body["numberId"]), String(made.body["session"])];
  const scan = async (): Promise<void> => {
    await company.whole.world.scan(session);
    await company.reaches(numberId, "connected");
  };
  await scan();
  const mend = async (): Promise<void> => {
    const again = await company.wpp({}, `?number=${numberId}`);
    assert.equal(again.status, 200, JSON.stringify(again.body));
    await scan();
  };
  return { numberId, session, mend };
}

export const platformVariant: Variant = {
  engine: "wpp_platform",
  async open(company) {
    const { wpp } = company.whole.world;
    const { numberId, session, mend } = await openWpp(company, {});
    const engine = "wpp_platform";
    const tasks = () =>
      [...wpp.world.tasks.values()].filter((one) => one.session === session && one.to === ANN);
    return {
      numberId,
      mend,
      writes: (text) => Promise.resolve(wpp.say(session, ANN, text)),
      sendsImage: (bytes, caption) => {
        const base64 = bytes.toString("base64");
        const media = { base64, mimetype: "image/png", filename: "file" };
        return Promise.resolve(
          wpp.say(session, ANN, { type: "image", text: `[Image] ${caption}`, media }),
        );
      },
      changes: {},
      sees: () =>
        Promise.all(
          tasks()
            .filter(({ isDeleted }) => !isDeleted)
            .map(({ body }) => taskSeen(body)),
        ),
      reactions: () =>
        wpp.world.reactions
          .filter((one) => one.session === session)
          .map(({ waMessageId, emoji }) => ({ target: waMessageId, emoji })),
      isRead: () => without(engine, "read"),
      isTyping: () => without(engine, "typing"),
      lid: () => without(engine, "lid"),
      group: () => without(engine, "group"),
      lose: () => wpp.drop(session, "logout"),
      isThere: () => wpp.world.bySession(session).state !== "offline",
    } satisfies Line;
  },
};

/** The platform fetches files where it is told to. */
async function taskSeen(body: Record<string, unknown>): Promise<Seen> {
  const { kind, text, caption, name, url, filename } = body;
  const type = kind === "file" ? (NAMED[String(filename)] ?? "document") : String(kind);
  const file = typeof url === "string" ? Buffer.from(await (await fetch(url)).arrayBuffer()) : null;
  return { type, text: textOf(text ?? caption ?? name), file, quotes: null };
}

export const connectVariant: Variant = {
  engine: "wppconnect",
  async open(company) {
    const { connect } = company.whole.world;
    const { numberId, session, mend } = await openWpp(company, { server: "wppconnect" });
    const messages = () => connect.world.messages.get(session) ?? [];
    const asked = (call: string): boolean =>
      connect.calls.some((one) => one.session === session && one.name === call);
    const tell = (event: string, data: object): Promise<void> => {
      connect.tell(connect.world.session(session), event, data);
      return Promise.resolve();
    };
    const chat = `${ANN}@c.us`;
    return {
      numberId,
      mend,
      writes: (text) => Promise.resolve(connect.say(session, ANN, text)),
      sendsImage: (bytes, caption) => {
        const body = bytes.toString("base64");
        const image = { type: "image", mimetype: "image/png", caption, body };
        return Promise.resolve(connect.say(session, ANN, image));
      },
      changes: {
        react: (target, reactionText) => {
          const id = {
            fromMe: false,
            remote: chat,
            id: "3AB0AA",
            _serialized: `false_${chat}_3AB0AA`,
          };
          const timestamp = Date.now();
          return tell("onreactionmessage", { id, msgId: target, reactionText, timestamp });
        },
        delete: (target) => tell("onrevokedmessage", { from: chat, refId: target }),
      },
      sees: (place = chat) =>
        Promise.resolve(
          messages()
            .filter((one) => one.fromMe && one["isDeleted"] !== true && one["to"] === place)
            .map(messageSeen),
        ),
      reactions: () =>
        messages().flatMap(({ id, reaction }) =>
          typeof reaction === "string" ? { target: id, emoji: reaction } : [],
        ),
      isRead: () => asked("send-seen"),
      isTyping: () => asked("typing"),
      lid: () => "100000000000021@lid",
      group: () => Promise.resolve("120363000000000021@g.us"),
      lose: () => connect.removeDevice(session),
      isThere: () => connect.world.session(session).status === "CONNECTED",
    } satisfies Line;
  },
};

const CONNECT_TYPES: Readonly<Record<string, string>> = {
  chat: "text",
  ptt: "voice",
  vcard: "contact",
  poll_creation: "poll",
};

function messageSeen(message: Record<string, unknown>): Seen {
  const { type, body, caption, file, quotedMsgId, asked } = message;
  const { title, name } = Object(asked) as Record<string, unknown>;
  const [, mimeType, base64] = /^data:([^;,]+)[^,]*;base64,(.*)$/.exec(String(file)) ?? [];
  const plain = CONNECT_TYPES[String(type)] ?? String(type);
  const kind = /^(video|audio)\//.exec(mimeType ?? "")?.[1];
  return {
    type: plain === "document" && kind !== undefined ? kind : plain,
    text: textOf(body) ?? textOf(caption) ?? textOf(title) ?? textOf(name),
    file: base64 === undefined ? null : Buffer.from(base64, "base64"),
    quotes: textOf(quotedMsgId),
  };
}
