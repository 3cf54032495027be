/** Webhooks of WPP servers that are wrong in every way, with the limits that a service has by itself. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { asSuperuser } from "@manyline/db/testing";
import { until } from "@manyline/testkit";
import { openRoom, type Room, someId } from "./room.ts";
import { addWppLine, connectMessage, platformMessage, postWpp, type WppLine } from "./wpp-room.ts";

let room: Room;
let folder: string;
const failures: unknown[] = [];
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "wpp-hostile-"));
  room = await openRoom({ env: { MEDIA_STORE: folder } });
  room.deps.reports.notStored = (error) => void failures.push(error);
});
after(async () => {
  await room[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

type Json = Record<string, unknown>;
const rows = (line: WppLine, columns: string, table = "messages"): Promise<Json[]> =>
  asSuperuser<Json>(
    room.database,
    `select ${columns} from ${table} where number_no = ${line.numberNo} order by 1`,
  );
const MiB = 1024 * 1024;

const ODD: unknown[] = [
  undefined,
  null,
  true,
  -5,
  1e300,
  253_402_300_799_999,
  "",
  "a\0b",
  "\ud800",
  "9".repeat(400),
  "x".repeat(70_000),
  [],
  [[{}]],
  { _serialized: [] },
  { _serialized: "true_@lid_" },
  "__proto__",
  "status@broadcast",
  `${"1".repeat(300)}@lid`,
  "@g.us",
  "-1",
  "image",
];

test("whatever stands in whichever field, it is taken, and nobody else's words are lost", async () => {
  const line = await addWppLine(room);
  const bodies = [
    platformMessage(line),
    platformMessage(line, {
      type: "image",
      media: { base64: "AAAA", mimetype: "image/png", filename: "file" },
      author: "79000000002@c.us",
    }),
    { type: "message.status", data: { account: line.session, taskId: "t", status: "read", at: 1 } },
    { type: "qr", account: line.session, data: { qr: "2@x" } },
    connectMessage(line, { author: "1@lid", sender: { id: "1@c.us", pushname: "P" }, ack: 1 }),
    connectMessage(line, { type: "poll_creation", pollOptions: [{ name: "a" }], mimetype: "x/y" }),
    { event: "onack", session: line.session, id: { _serialized: "true_1@c.us_A" }, ack: 3, t: 1 },
    { event: "onreactionmessage", session: line.session, id: "a", msgId: "true_1@c.us_B" },
  ] as Json[];
  const odd = bodies.flatMap((body) =>
    Object.keys(body)
      .filter((key) => !["account", "session"].includes(key))
      .flatMap((key) => ODD.map((value) => Object.assign({}, body, { [key]: value }))),
  );
  // An eighth of them, each value with most fields.
  const some = odd.filter((_body, place) => place % 8 === 0);
  const waiting = some.map((body) =>
    Object.assign({ id: `false_79000000001@c.us_${someId()}` }, body),
  );
  const lanes = Array.from({ length: 16 }, async () => {
    for (let body = waiting.pop(); body !== undefined; body = waiting.pop()) {
      assert.equal(await postWpp(room, line.webhookKey, body), 200, JSON.stringify(body));
    }
  });
  await Promise.all(lanes);
  const said = platformMessage(line, { text: "a word among them" });
  assert.equal(await postWpp(room, line.webhookKey, said), 200);
  await until(() => room.seen.some(({ data }) => Object(data)["text"] === "a word among them"));
  assert.deepEqual(failures, []);
  const [future] = await rows(line, "max(at) < now() + interval '2 days' as is_now");
  assert.deepEqual(future, { isNow: true });
});

test("the last of two equal keys counts, what objects have by nature does not, one of fifty is told", async () => {
  const [line, other] = [await addWppLine(room), await addWppLine(room)];
  const text = JSON.stringify(platformMessage(line)).slice(1);
  const twice = `{"account":${JSON.stringify(other.session)},${text}`;
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => postWpp(room, line.webhookKey, twice)),
  );
  assert.deepEqual(new Set(answers), new Set([200]));
  const foreign = `${twice.slice(0, -1)},"account":${JSON.stringify(other.session)}}`;
  assert.equal(await postWpp(room, line.webhookKey, foreign), 401);
  const hidden = `{"__proto__":${JSON.stringify(platformMessage(line))},"constructor":{}}`;
  assert.equal(await postWpp(room, line.webhookKey, hidden), 200);
  assert.deepEqual(await rows(line, "text"), [{ text: "hello" }]);
  assert.deepEqual(await rows(other, "text"), []);
});

test("files up to 20 MiB are kept; a larger one, or what is no base64, is left where it is", async () => {
  const line = await addWppLine(room);
  const bytes = randomBytes(20 * MiB + 1);
  const image = (base64: string, caption: string): object =>
    connectMessage(line, { type: "image", mimetype: "text/html", body: base64, caption });
  const whole = bytes.subarray(0, 20 * MiB).toString("base64");
  assert.equal(await postWpp(room, line.webhookKey, image(whole, "1 whole")), 200);
  assert.equal(await postWpp(room, line.webhookKey, image(bytes.toString("base64"), "2")), 200);
  const lines = `data:image/png;base64,${"QUJD\r\n".repeat(4)}QUI`;
  assert.equal(await postWpp(room, line.webhookKey, image(lines, "3 cut off, in lines")), 200);
  const media = { base64: "%%% no base64 %%%", mimetype: "image/png" };
  const odd = platformMessage(line, { type: "image", text: "[Image] 4", media });
  assert.equal(await postWpp(room, line.webhookKey, odd), 200);
  const tooLong = image("A".repeat(28 * MiB), "5");
  assert.equal(await postWpp(room, line.webhookKey, tooLong), 413);
  const stored = await rows(
    line,
    "m.text, f.state, f.bytes::int as size",
    "messages m join media f using (company_no, message_id, number_no)",
  );
  assert.deepEqual(
    stored.map(({ text, state, size }) => [text, state, size]),
    [
      ["1 whole", "stored", 20 * MiB],
      ["2", "remote", 20 * MiB + 1],
      ["3 cut off, in lines", "stored", 14],
      ["4", "remote", null],
    ],
  );
  assert.ok(room.seen.every((event) => JSON.stringify(event).length < 256 * 1024));
});
