/** Linked numbers: the simulated WhatsApp, and phones that decrypt what they get. */
import assert from "node:assert/strict";
import { createGroup, type PhoneMessages } from "@manyline/simulators";
import type { Company } from "../company.ts";
import { ANN, type Line, type Reaction, type Seen, type Variant } from "./line.ts";

type Received = PhoneMessages["received"][number];

export const linkedVariant: Variant = {
  engine: "linked",
  async open(company) {
    const { room } = company.whole.world;
    const { server } = room.simulator;
    const own = server.phone(room.phone());
    const ann = server.phone(ANN, "Ann");
    ann.account.overrides = { ...ann.account.overrides, readAfterMs: 40 };
    const { phone } = own.account;
    const numberId = await company.addNumber({ provider: "linked", phone: `+${phone}` });
    const link = (): Promise<void> => linkPhone(company, numberId, (code) => own.enterCode(code));
    await link();

    const received = (chat: string): Received[] =>
      ann.messages.received.filter((one) => one.from === phone && one.chat === chat);
    let typing = 0;
    server.events.on("presence", ({ stanza }) => {
      const [to] = (stanza.attrs["to"] ?? "").split("@");
      const isToAnn = to === ann.account.lid || to === ANN;
      if (stanza.tag === "chatstate" && isToAnn) typing += 1;
    });
    const writes = async (content: Parameters<PhoneMessages["send"]>[1]): Promise<string> =>
      (await ann.messages.send(phone, content)).id;
    return {
      numberId,
      writes: (text) => writes({ kind: "text", text }),
      sendsImage: (bytes, caption) =>
        writes({ kind: "image", bytes, mimetype: "image/png", caption }),
      changes: {
        react: async (target, emoji) => void (await writes({ kind: "reaction", target, emoji })),
        edit: async (target, text) => void (await writes({ kind: "edit", target, text })),
        delete: async (target) => void (await writes({ kind: "delete", target })),
      },
      sees: async (place) =>
        seenIn(received(place?.endsWith("@g.us") === true ? place : phone), ann.messages),
      reactions: () => reactionsIn(received(phone)),
      isRead: (id) =>
        ann.messages.sent.some(
          (one) => one.id === id && one.receipts.some(({ type }) => type === "read"),
        ),
      isTyping: () => typing > 0,
      lid: () => `${ann.account.lid}@lid`,
      group: async () => createGroup(ann.account, "Orders", [own.account]).jid,
      lose: () => void own.unlink(),
      mend: link,
      isThere: () => own.account.devices.size > 0,
    } satisfies Line;
  },
};

async function linkPhone(
  company: Company,
  numberId: string,
  enter: (code: string) => Promise<unknown>,
): Promise<void> {
  const asked = await company.owned(() =>
    company.session(`pairing-code?number=${numberId}`, "POST", {}),
  );
  assert.equal(asked.status, 200, JSON.stringify(asked.body));
  await enter(String(asked.body["code"]));
  await company.reaches(numberId, "connected");
}

function seenIn(received: readonly Received[], messages: PhoneMessages): Seen[] {
  const seen = new Map<string, Seen>();
  for (const { id, kind, text, target, message } of received) {
    const before = target === undefined ? undefined : seen.get(target);
    if (kind === "reaction") continue;
    if (kind === "delete") seen.delete(target ?? "");
    else if (kind === "edit") {
      if (before) before.text = text ?? null;
    } else {
      const isVoice = message.audioMessage?.ptt === true;
      seen.set(id, {
        type: isVoice ? "voice" : kind,
        text: text ?? null,
        file: messages.file(id) ?? null,
        quotes: target ?? null,
      });
    }
  }
  return [...seen.values()];
}

const reactionsIn = (received: readonly Received[]): Reaction[] =>
  received.flatMap(({ kind, target = "", text = "" }) =>
    kind === "reaction" ? { target, emoji: text } : [],
  );
