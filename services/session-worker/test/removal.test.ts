/** A company that is deleted while its number sends, receives and fetches: nothing stays, nobody else is disturbed. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { newCommandId, shardPoke } from "@manyline/contracts";
import {
  deleteCompany,
  enqueueCommand,
  housekeeping,
  inTransaction,
  listDroppedFiles,
  openDatabase,
  withCompany,
} from "@manyline/db";
import { applyFault } from "@manyline/simulators";
import { until } from "@manyline/testkit";
import { contact, field, linked, toldOf, toldOfMessages } from "./conversations.ts";
import { openRoom, type Room } from "./room.ts";
import { enqueue, untilSend } from "./sending.ts";

let room: Room;
before(async () => {
  room = await openRoom({ env: { SENDS_PER_SECOND: "50", SEND_BURST: "50" } });
});
after(() => room.close());

const TABLES = [
  "messages",
  "media",
  "inboundJournal",
  "seen",
  "chats",
  "contacts",
  "authKeys",
  "whatsappEvents",
] as const;

it("rows, journal, files and connection go; the worker and its other numbers go on", async () => {
  const [one, neighbour] = [await linked(room), await linked(room)];
  const { companyNo, numberNo, shardId } = one.number;
  const [ann, bo] = [contact(room, "Ann"), contact(room, "Bo")];
  const bytes = Buffer.alloc(8_000_000, 7);
  const { id } = await ann.messages.send(one.phone, {
    kind: "image",
    bytes,
    mimetype: "image/jpeg",
  });
  const mediaId = String(field(await toldOf(room, one, "message.received", id), "media")["id"]);
  // One message is under way and gets no answer; more wait behind it and in other chats.
  applyFault(room.simulator.server, { kind: "lose-message", phone: one.phone });
  for (let nth = 0; nth < 10; nth += 1) await enqueue(room, one, { phone: ann.phone });
  for (let nth = 0; nth < 10; nth += 1) await enqueue(room, one, { phone: room.phone() });
  const writing = Array.from({ length: 30 }, (_, nth) =>
    ann.messages.sendText(one.phone, `${nth}`),
  );
  await withCompany(room.app, companyNo, (tx) =>
    enqueueCommand(tx, {
      commandId: newCommandId(),
      companyNo,
      numberNo,
      verb: "fetch_media",
      args: { mediaId },
      deadlineMs: 25_000,
      queue: mediaId,
    }),
  );
  room.bus.poke(shardPoke(shardId));
  await writing[4];
  await inTransaction(room.platform, (tx) => deleteCompany(tx, companyNo));
  room.bus.poke(shardPoke(shardId));
  await Promise.all(writing);
  const [device] = room.simulator.server.account(one.phone).devices.values();
  await until(() => device?.connection === undefined, { label: "closed", deadlineMs: 20_000 });
  const hello = await bo.messages.sendText(neighbour.phone, "hello");
  await toldOf(room, neighbour, "message.received", hello.id);
  await untilSend(
    room,
    neighbour,
    await enqueue(room, neighbour, { phone: bo.phone }),
    "message.delivered",
  );
  const reasons = (await room.events(neighbour.number)).map(({ data }) => data["reason"]);
  assert.ok(!reasons.includes("reconnecting"), "the neighbour stayed connected");
  assert.equal(room.worker.exitCode, null);
  assert.equal((await toldOfMessages(room, neighbour)).length > 0, true);

  await using db = openDatabase({ url: room.database.superuserUrl, applicationName: "test" });
  await using worker = openDatabase({ url: room.database.urls.worker, applicationName: "test" });
  await housekeeping(worker);
  for (const table of TABLES) {
    const rows = await db
      .selectFrom(table)
      .select("companyNo")
      .where("companyNo", "=", companyNo)
      .execute();
    assert.equal(rows.length, 0, table);
  }
  // The file, if it got into the store, is on the list of those to be removed, or is removed already.
  const location = `${companyNo}/${mediaId.slice(-2)}/${mediaId}`;
  const isListed = (await listDroppedFiles(worker, 100)).includes(location);
  const file = await room.media.open(location).catch(() => undefined);
  file?.stream.destroy();
  assert.ok(isListed || file === undefined);
});
