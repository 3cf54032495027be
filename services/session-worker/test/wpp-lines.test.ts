/** Numbers at both WPP servers: their QRs, what they send, what they cannot, and how they are lost and come back. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { newMediaId, type WppPlatform } from "@manyline/contracts";
import {
  insertMedia,
  type NumberRow,
  openFileLink,
  type SendInput,
  withCompany,
} from "@manyline/db";
import { until } from "@manyline/testkit";
import { enqueue, type Queued, untilSend } from "./sending.ts";
import { resultOf, WppRoom } from "./wpp-room.ts";

const ANN = "15550100019";

let world: WppRoom;
before(async () => {
  world = await WppRoom.open();
});
after(() => world[Symbol.asyncDispose]());

const send = (number: NumberRow, more: Partial<SendInput> = {}): Promise<Queued> =>
  enqueue(world.room, { number, phone: "1" }, { phone: ANN }, { provider: "wpp", ...more });
const told = (number: NumberRow, queued: Pick<Queued, "messageId">, type: string) =>
  untilSend(world.room, { number, phone: "1" }, queued, type, 20_000);
const typesOf = async (number: NumberRow, family: string): Promise<string[]> =>
  (await world.room.events(number))
    .map(({ type }) => type)
    .filter((type) => type.startsWith(family));

/** A file in the store that a message carries. */
async function stored(
  { companyNo, numberNo }: NumberRow,
  kind: "image" | "voice" | "document",
  mimeType: string,
  bytes: Buffer,
) {
  const id = newMediaId();
  const put = await world.room.media.put({ companyNo, mediaId: id }, [bytes], {
    maxBytes: 2 ** 24,
  });
  const media = { mimeType, fileName: `a.${kind}`, bytes: put.bytes, sha256: put.sha256 };
  const { location } = put;
  await withCompany(world.room.app, companyNo, (tx) =>
    insertMedia(tx, { ...media, mediaId: id, companyNo, numberNo, kind, location }),
  );
  return { ...media, id };
}

for (const server of ["wpp_platform", "wppconnect"] as const satisfies WppPlatform[]) {
  describe(`a number at ${server}`, () => {
    it("shows its QR in an attempt, also of a second number, and is connected once it is scanned", async () => {
      const company = await world.room.company();
      for (const branch of ["reconnect", "add"] as const) {
        const number = await world.addNumber(company, server);
        const { session, status } = resultOf(await world.open(company, number, branch));
        assert.ok(["starting", "qr_issued"].includes(status), status);
        const qr = await until(() => world.room.secret(number), { label: "a QR" });
        assert.match(qr, server === "wppconnect" ? /^2@/ : /^data:image\/png;base64,/);
        await until(world.is(number, "connecting"));
        assert.equal((await world.room.status(number)).number.reason, "pairing");
        await world.scan(session);
        await until(world.is(number, "connected"));
        assert.deepEqual(await typesOf(number, "pairing."), [
          "pairing.started",
          "pairing.qr_issued",
          "pairing.succeeded",
        ]);
        const sessions = await typesOf(number, "session.");
        assert.equal(sessions.filter((type) => type === "session.connected").length, 1);
        assert.equal(await world.room.secret(number), undefined);
        // The phone is asked for once it is connected, and stored a moment later.
        await until(async () => {
          const { number: row } = await world.room.status(number);
          return (row.phone === null) === (server === "wpp_platform");
        });
      }
    });

    it("is taken off its phone: it says so, starts nothing by itself, and asks for a scan when told to", async () => {
      const { company, number, session } = await world.connected(server);
      if (server === "wppconnect") world.connect.removeDevice(session);
      else world.wpp.drop(session, "logout");
      // Nobody told us: the next question does.
      await world.room.command(number, "reconnect");
      await until(() => world.room.secret(number), { label: "another QR" });
      await world.room.command(number, "unlink");
      const { number: row } = await world.room.status(number);
      assert.deepEqual([row.status, row.reason], ["disconnected", "unlinked"]);
      assert.equal((await typesOf(number, "pairing.")).at(-1), "pairing.abandoned");
      assert.equal(resultOf(await world.open(company, number, "reconnect")).session, session);
      await world.scan(session);
      await until(world.is(number, "connected"));
    });
  });
}

describe("what is sent", () => {
  it("the platform: text, image, voice, document and place by its own calls; a link to the file is its own proof", async () => {
    const { number, session } = await world.connected();
    const tasks = () =>
      [...world.wpp.world.tasks.values()].filter((task) => task.session === session);
    const text = await send(number);
    const sent = await told(number, text, "message.sent");
    assert.equal(sent.data["providerMessageId"], tasks()[0]?.taskId);
    const { kind, to, text: body } = tasks()[0]?.body ?? {};
    assert.deepEqual([kind, to, body], ["text", ANN, "good day"]);

    const bytes = randomBytes(64);
    for (const [type, mimeType, call] of [
      ["image", "image/png", "image"],
      ["voice", "audio/ogg", "file"],
      ["document", "application/pdf", "file"],
    ] as const) {
      const media = await stored(number, type, mimeType, bytes);
      await told(
        number,
        await send(number, { type, text: null, content: { media } }),
        "message.sent",
      );
      const task = tasks().at(-1)?.body ?? {};
      assert.equal(task["kind"], call);
      const token = String(task["url"]).replace("http://files.test/api/whatsapp/files/", "");
      const { app, database } = world.room;
      const open = (one: string, at = new Date()) =>
        withCompany(app, number.companyNo, (tx) => openFileLink(tx, database.keyring, one, at));
      assert.equal((await open(token))?.mediaId, media.id);
      assert.equal(await open(token, new Date(Date.now() + 3_700_000)), undefined);
      assert.equal(await open(`${token.slice(0, -2)}AA`), undefined);
      assert.equal(await open(`${number.companyNo + 1}.${token.split(".")[1]}`), undefined);
    }
    const location = { latitude: 55.75, longitude: 37.62, name: "Salon" };
    await told(
      number,
      await send(number, { type: "location", text: null, content: { location } }),
      "message.sent",
    );
    assert.equal(tasks().at(-1)?.body["lat"], 55.75);

    const contextId = text.messageId;
    await told(
      number,
      await send(number, { type: "edit", text: "good night", contextId }),
      "message.sent",
    );
    assert.deepEqual([tasks()[0]?.isDeleted, tasks().at(-1)?.body["text"]], [true, "good night"]);
    await told(
      number,
      await send(number, { type: "delete", text: null, contextId }),
      "message.sent",
    );
    assert.equal(tasks().at(-1)?.isDeleted, true);
    const file = tasks().findIndex(({ body: { kind: one } }) => one === "image");
    assert.ok(file > 0 && tasks()[file]?.isDeleted === false);

    const poll = { name: "?", options: ["a", "b"], selectable: 1 };
    const refused = await send(number, { type: "poll", text: null, content: { poll } });
    const failed = await told(number, refused, "message.failed");
    assert.equal(Object(failed.data["error"])["code"], "NOT_ACCEPTED");
  });

  it("WPPConnect: text, answer, image, voice, contact, poll, reaction, edit and delete", async () => {
    const { number, session } = await world.connected("wppconnect");
    const kept = () => world.connect.world.messages.get(session) ?? [];
    const first = await send(number);
    const sent = await told(number, first, "message.sent");
    assert.equal(sent.data["providerMessageId"], kept()[0]?.id);
    const contextId = first.messageId;
    const media = await stored(number, "image", "image/png", randomBytes(64));
    for (const [type, more, made] of [
      ["text", { text: "yes", contextId }, { type: "chat", quotedMsgId: kept()[0]?.id }],
      ["image", { text: "look", content: { media } }, { type: "image", caption: "look" }],
      ["voice", { content: { media } }, { type: "ptt" }],
      [
        "contact",
        {
          content: {
            contacts: [
              { name: "Bea", phones: ["+1 555 0100020"] },
              { name: "Cleo", phones: ["15550100021"] },
            ],
          },
        },
        { type: "vcard", file: ["15550100020@c.us", "15550100021@c.us"] },
      ],
      [
        "poll",
        { content: { poll: { name: "?", options: ["a", "b"], selectable: 1 } } },
        { type: "poll_creation" },
      ],
    ] as const) {
      const queued = await send(number, { text: null, ...more, type } as Partial<SendInput>);
      await told(number, queued, "message.sent");
      const last = kept().at(-1) ?? {};
      for (const [field, value] of Object.entries(made)) {
        assert.deepEqual((last as Record<string, unknown>)[field], value, `${type}.${field}`);
      }
    }
    const target = () => kept()[0] ?? {};
    await send(number, { type: "reaction", text: null, contextId, content: { emoji: "👍" } });
    await until(() => (target() as Record<string, unknown>)["reaction"] === "👍");
    await send(number, { type: "edit", text: "good night", contextId });
    await until(() => (target() as Record<string, unknown>)["body"] === "good night");
    await send(number, { type: "delete", text: null, contextId });
    await until(() => (target() as Record<string, unknown>)["isDeleted"] === true);
  });

  it("nothing is sent twice by machine: a lost answer is unknown, a refusal is one, a busy server is asked later", async () => {
    const { number, session } = await world.connected();
    world.wpp.faults.add({ call: "text", session, effect: { cut: "after" }, next: 1 });
    const lost = await send(number);
    await told(number, lost, "message.unknown");
    const tasks = () =>
      [...world.wpp.world.tasks.values()].filter((task) => task.session === session);
    assert.equal(tasks().length, 1);
    const answer = { status: 200, body: { status: "error", message: "no" } };
    world.wpp.faults.add({ call: "text", session, effect: { answer }, next: 1 });
    await told(number, await send(number), "message.failed");
    assert.equal(tasks().length, 1);
    // The token is over in the middle: the same message goes with a new one.
    world.wpp.faults.add({
      call: "text",
      session,
      effect: { answer: { status: 401, body: {} } },
      next: 1,
    });
    await told(number, await send(number), "message.sent");
    assert.equal(tasks().length, 2);
  });
});
