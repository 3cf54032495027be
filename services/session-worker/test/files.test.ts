/** Files, both ways: from the media store to people's phones, and from WhatsApp into the store. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { type MessageType, newMediaId } from "@manyline/contracts";
import { getMedia, insertMedia, openDatabase, readMediaSource, withCompany } from "@manyline/db";
import { contact, field, linked, toldOf, type Linked } from "./conversations.ts";
import { openRoom, type Room } from "./room.ts";
import { enqueue, untilSend } from "./sending.ts";

let room: Room;
let one: Linked;
before(async () => {
  room = await openRoom({ env: { SENDS_PER_SECOND: "50", SEND_BURST: "50" } });
  one = await linked(room);
});
after(async () => {
  assert.deepEqual(room.simulator.server.unhandled, []);
  await room.close();
});

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("base64");

/** A file in the store with its row, as the gateway leaves it. */
async function store(type: MessageType, mimeType: string, fileName: string | null, bytes: Buffer) {
  const { companyNo, numberNo } = one.number;
  const mediaId = newMediaId();
  const stored = await room.media.put({ companyNo, mediaId }, [bytes], { maxBytes: 2 ** 24 });
  const media = { mediaId, mimeType, fileName, bytes: stored.bytes, sha256: stored.sha256 };
  const { location } = stored;
  await withCompany(room.app, companyNo, (tx) =>
    insertMedia(tx, { ...media, companyNo, numberNo, kind: type, location }),
  );
  return { id: mediaId, mimeType, fileName, bytes: stored.bytes, sha256: stored.sha256 };
}

describe("a file that is sent", () => {
  it("that is not in the store any more fails, and lets the next one go", async () => {
    const ann = contact(room, "Ann");
    const media = await store("image", "image/png", null, randomBytes(10));
    const row = await withCompany(room.app, one.number.companyNo, (tx) =>
      getMedia(tx, one.number.companyNo, media.id),
    );
    await room.media.remove(row?.location ?? "");
    const to = { phone: ann.phone };
    const queued = await enqueue(room, one, to, { type: "image", text: null, content: { media } });
    const next = await enqueue(room, one, to);
    const { data } = await untilSend(room, one, queued, "message.failed");
    assert.equal((data["error"] as { code: string }).code, "MEDIA_UNAVAILABLE");
    await untilSend(room, one, next, "message.delivered");
  });
});

describe("a file that came", () => {
  const bytes = Buffer.from("the bytes of a file".repeat(1_000));
  const arrived = async () => {
    const ann = contact(room, "Ann");
    const content = { kind: "image", bytes, mimetype: "image/jpeg" } as const;
    const { id } = await ann.messages.send(one.phone, content);
    const event = await toldOf(room, one, "message.received", id);
    return String(field(event, "media")["id"]);
  };
  const rowOf = (mediaId: string) =>
    withCompany(room.app, one.number.companyNo, (tx) =>
      getMedia(tx, one.number.companyNo, mediaId),
    );

  it("is fetched into the store when somebody asks for it, once", async () => {
    const mediaId = await arrived();
    for (let time = 0; time < 2; time += 1) {
      const { state } = await room.command(one.number, "fetch_media", { mediaId });
      assert.equal(state, "done");
    }
    const row = await rowOf(mediaId);
    assert.equal(row?.state, "stored");
    const opened = await room.media.open(row.location ?? "");
    assert.ok(opened);
    const read = Buffer.concat(await opened.stream.toArray());
    assert.equal(sha256(read), sha256(bytes));
  });

  it("that WhatsApp has deleted is gone", async () => {
    const mediaId = await arrived();
    await using db = openDatabase({ url: room.database.urls.worker, applicationName: "test" });
    const { companyNo, numberNo } = one.number;
    const { epoch } = await db
      .selectFrom("numberFence")
      .select("epoch")
      .where("numberNo", "=", numberNo)
      .executeTakeFirstOrThrow();
    const fence = { companyNo, numberNo, epoch };
    const file = await readMediaSource(db, room.database.keyring, fence, mediaId);
    const { url } = JSON.parse(String(file?.source)) as { url: string };
    assert.ok(room.simulator.server.media.delete(url.split("/").at(-1) ?? ""));
    const { state, error } = await room.command(one.number, "fetch_media", { mediaId });
    assert.equal(state, "failed");
    assert.equal((error as { code: string }).code, "MEDIA_NOT_FOUND");
    assert.equal((await rowOf(mediaId))?.state, "gone");
  });

  it("nobody heard of is not there", async () => {
    const mediaId = newMediaId();
    const { error } = await room.command(one.number, "fetch_media", { mediaId });
    assert.equal((error as { code: string }).code, "MEDIA_NOT_FOUND");
  });
});
