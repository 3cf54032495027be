/** A media store that cannot be asked for a while: messages with files wait for it. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, it } from "node:test";
import { newMediaId } from "@manyline/contracts";
import { insertMedia, withCompany } from "@manyline/db";
import { until } from "@manyline/testkit";
import { contact, linked } from "./conversations.ts";
import { openRoom, type Room } from "./room.ts";
import { enqueue, sendStates, untilSend } from "./sending.ts";

const bytes = Buffer.from("\x89PNG\r\n\x1a\n and the rest", "latin1");
let isDown = true;
let asked = 0;
const bucket = createServer((_request, response) => {
  asked += 1;
  if (isDown) response.writeHead(503).end();
  else response.writeHead(200, { "content-length": bytes.length }).end(bytes);
});

let room: Room;
before(async () => {
  await new Promise<void>((resolve) => {
    bucket.listen(0, "127.0.0.1", resolve);
  });
  const address = bucket.address();
  const port = typeof address === "object" && address ? address.port : 0;
  room = await openRoom({ env: { MEDIA_STORE: `s3+http://a:b@127.0.0.1:${port}/files` } });
});
after(async () => {
  await room.close();
  bucket.closeAllConnections();
  bucket.close();
});

it("the message waits in its place, others go, and it arrives once when the store is back", async () => {
  const one = await linked(room);
  const [ann, bo] = [contact(room, "Ann"), contact(room, "Bo")];
  const { companyNo, numberNo } = one.number;
  const id = newMediaId();
  const facts = { mimeType: "image/png", fileName: null, bytes: bytes.length, sha256: "x" };
  const location = `${companyNo}/${id.slice(-2)}/${id}`;
  await withCompany(room.app, companyNo, (tx) =>
    insertMedia(tx, { ...facts, mediaId: id, companyNo, numberNo, kind: "image", location }),
  );
  const content = { media: { ...facts, id } };
  const to = { phone: ann.phone };
  const picture = await enqueue(room, one, to, { type: "image", text: null, content });
  const behind = await enqueue(room, one, to);
  const other = await enqueue(room, one, { phone: bo.phone });
  await untilSend(room, one, other, "message.delivered");
  await until(() => asked >= 2, { label: "asked again", deadlineMs: 20_000 });
  assert.deepEqual(await sendStates(room, one), { queued: 2, delivered: 1 });
  isDown = false;
  for (const each of [picture, behind]) {
    await untilSend(room, one, each, "message.delivered", 20_000);
  }
  assert.deepEqual(
    ann.messages.received.map(({ id: received, copies }) => [received, copies]),
    [picture, behind].map(({ providerMessageId }) => [providerMessageId, 1]),
  );
});
