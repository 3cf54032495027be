import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { WASocket } from "@whiskeysockets/baileys";
import { addressOf, isChatOf, lookUp } from "./address.ts";

/** A socket that knows one pair of phone and LID, and asks a WhatsApp that knows another. */
function socket(): { sock: WASocket; asked: string[][]; learnt: unknown[] } {
  const asked: string[][] = [];
  const learnt: unknown[] = [];
  const sock = {
    authState: {
      keys: {
        get: (_kind: string, [phone]: string[]) =>
          Promise.resolve(phone === "79007654321" ? { [phone]: "111" } : {}),
      },
    },
    signalRepository: {
      lidMapping: { storeLIDPNMappings: (pairs: unknown) => Promise.resolve(learnt.push(pairs)) },
    },
    executeUSyncQuery: ({ users }: { users: { phone?: string }[] }) => {
      const phones = users.map(({ phone = "" }) => phone);
      asked.push(phones);
      const list = phones.map((phone) => {
        const id = `${phone.replace("+", "")}@s.whatsapp.net`;
        if (phone === "+79000000000") return { id, contact: false };
        // As in Brazil: WhatsApp writes it without the ninth digit.
        if (phone === "+5511912345678") {
          return { id: "551112345678@s.whatsapp.net", contact: true, lid: "333@lid" };
        }
        return { id, contact: true, lid: "222@lid" };
      });
      return Promise.resolve({ list, sideList: [] });
    },
  };
  return { sock: sock as unknown as WASocket, asked, learnt };
}

const to = (more: object) => ({ phone: null, lid: null, groupId: null, ...more });

describe("where a message goes", () => {
  it("to a LID that is known, without asking", async () => {
    const { sock, asked } = socket();
    const told: unknown[] = [];
    const address = (more: object) => addressOf(sock, to(more), (person) => told.push(person));
    assert.deepEqual(await address({ lid: "9", phone: "7" }), {
      jid: "9@lid",
      phoneJid: "7@s.whatsapp.net",
    });
    assert.deepEqual(await address({ groupId: "1@g.us" }), { jid: "1@g.us" });
    assert.deepEqual(await address({ phone: "79007654321" }), {
      jid: "111@lid",
      phoneJid: "79007654321@s.whatsapp.net",
    });
    assert.deepEqual(asked, []);
    assert.deepEqual(told, [{ phone: "79007654321", lid: "111" }]);
  });

  it("else to the one WhatsApp names, or nowhere", async () => {
    const { sock, learnt } = socket();
    const told: unknown[] = [];
    const address = (phone: string) => addressOf(sock, to({ phone }), (one) => told.push(one));
    assert.deepEqual(await address("5511912345678"), {
      jid: "333@lid",
      phoneJid: "551112345678@s.whatsapp.net",
    });
    assert.deepEqual(learnt, [[{ lid: "333@lid", pn: "551112345678@s.whatsapp.net" }]]);
    assert.deepEqual(told, [{ phone: "5511912345678", lid: "333" }]);
    assert.equal(await address("79000000000"), undefined);
  });

  it("many phones are looked up at once, in the order asked", async () => {
    const { sock, asked } = socket();
    const found = await lookUp(sock, ["79000000000", "79001112233"]);
    assert.deepEqual(
      found.map(({ phone, isOnWhatsapp, lid }) => [phone, isOnWhatsapp, lid]),
      [
        ["79000000000", false, null],
        ["79001112233", true, "222"],
      ],
    );
    assert.equal(asked.length, 1);
  });
});

it("a message is repeated into its own chat alone, however the chat is named", async () => {
  const { sock } = socket();
  const known = to({ phone: "79007654321", lid: "111" });
  const byPhone = to({ phone: "79007654321" });
  const byLid = to({ lid: "111" });
  for (const [jid, chat, expected] of [
    ["111@lid", known, true],
    ["79007654321@s.whatsapp.net", known, true],
    ["111@lid", byPhone, true],
    ["79007654321@s.whatsapp.net", byLid, true],
    ["222@lid", known, false],
    ["79001112233@s.whatsapp.net", known, false],
    ["222@lid", byPhone, false],
    ["79001112233@s.whatsapp.net", byLid, false],
    ["1@g.us", known, false],
    ["1@g.us", to({ groupId: "1@g.us" }), true],
    ["111@lid", to({ groupId: "1@g.us" }), false],
    ["nobody", known, false],
  ] as const) {
    assert.equal(await isChatOf(sock, jid, chat), expected, `${jid} ${JSON.stringify(chat)}`);
  }
});
