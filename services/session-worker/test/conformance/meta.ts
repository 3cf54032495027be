/** Numbers of the Cloud API: the simulated Meta, its signed webhooks, and what Graph was asked to send. */
import assert from "node:assert/strict";
import { type Json, fields } from "../company.ts";
import { ANN, type Line, type Seen, textOf, type Variant, without } from "./line.ts";

export const metaVariant: Variant = {
  engine: "meta",
  async open(company) {
    const { meta } = company.whole;
    const line = meta.world.addLine();
    const { number } = line;
    meta.world.addTemplate({ wabaId: line.waba.id, name: "hello" });
    meta.world.addPerson({ phone: ANN, name: "Ann" });
    let { token } = line;
    const numberId = await company.addNumber({
      provider: "meta",
      wabaId: line.waba.id,
      phoneNumberId: number.id,
      accessToken: token.token,
    });
    await company.reaches(numberId, "connected");

    const sent = () =>
      meta.sending.sent.filter((one) => one.phoneNumberId === number.id && one.to === ANN);
    const heard: string[] = [];
    const noted = (id: string): Promise<string> => {
      heard.push(id);
      return Promise.resolve(id);
    };
    const writes = (type: string, part: object): Promise<string> =>
      noted(meta.say(number.id, ANN, { type, [type]: part }));
    return {
      numberId,
      writes: (text) => writes("text", { body: text }),
      sendsImage: (bytes, caption) =>
        noted(
          meta.sendFile(number.id, ANN, { type: "image", mimeType: "image/png", bytes, caption }),
        ),
      changes: {
        react: async (target, emoji) => {
          await writes("reaction", { message_id: target, emoji });
        },
        edit: async (target, text) => {
          const message = { type: "text", text: { body: text } };
          await writes("edit", { original_message_id: target, message });
        },
        delete: async (target) => {
          await writes("revoke", { original_message_id: target });
        },
      },
      sees: () =>
        Promise.resolve(
          sent().flatMap(({ type, body }) =>
            type === "reaction" ? [] : seenOf(type, body, (id) => meta.media.files.get(id)?.bytes),
          ),
        ),
      reactions: () =>
        sent()
          .filter(({ type }) => type === "reaction")
          .map(({ body }) => {
            const { message_id: target, emoji } = fields(body["reaction"]);
            return { target: String(target), emoji: String(emoji) };
          }),
      isRead: (id) => meta.sending.read.includes(id),
      isTyping: () => meta.sending.typing.some((id) => heard.includes(id)),
      lid: () => without("meta", "lid"),
      group: () => without("meta", "group"),
      lose: () => {
        token.isRevoked = true;
      },
      mend: async () => {
        token = meta.world.addToken({ wabas: [line.waba.id] });
        const changed = await company.number(numberId, "PATCH", { accessToken: token.token });
        assert.equal(changed.status, 200, JSON.stringify(changed.body));
        await company.reaches(numberId, "connected");
      },
      // Meta keeps no connection of ours.
      isThere: () => false,
    } satisfies Line;
  },
};

function seenOf(type: string, body: Json, fileOf: (id: string) => Buffer | undefined): Seen {
  const part = fields(body[type]);
  const [card] = Array.isArray(body["contacts"]) ? (body["contacts"] as unknown[]) : [];
  const { formatted_name: cardName } = fields(fields(card)["name"]);
  const words = part["body"];
  const said = type === "interactive" ? fields(words)["text"] : words;
  const { message_id: quotes } = fields(body["context"]);
  return {
    type: type === "contacts" ? "contact" : part["voice"] === true ? "voice" : type,
    text: textOf(said ?? part["caption"] ?? part["name"] ?? cardName),
    file: fileOf(String(part["id"])) ?? null,
    quotes: textOf(quotes),
  };
}
