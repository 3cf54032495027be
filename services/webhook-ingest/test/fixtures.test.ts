/** Each fixture through the real service and the real bus: what `expected.tsv` names is at a subscriber. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import type { Envelope } from "@manyline/contracts";
import { asSuperuser } from "@manyline/db/testing";
import { until } from "@manyline/testkit";
import { addLine, type Line, openRoom, post, type Room } from "./room.ts";

const folder = new URL("../../../packages/contracts/fixtures/meta/", import.meta.url);
const TABLES = "seen, messages, chats, contacts, contact_aliases, unroutable, whatsapp_events";
const EVENT_OF_CHANGE: Readonly<Record<string, string>> = {
  edit: "message.edited",
  revoke: "message.deleted",
  reaction: "message.reaction",
};
const TEXT_LENGTH = 80;

type Row = Record<string, string>;

function expected(): Map<string, Row[]> {
  const [head = "", ...lines] = readFileSync(new URL("expected.tsv", folder), "utf8")
    .replace(/\n$/, "")
    .split("\n");
  const names = head.split("\t");
  const rows = lines.map((line): Row => {
    const cells = line.split("\t");
    return Object.fromEntries(names.map((name, place) => [name, cells[place] ?? ""]));
  });
  return Map.groupBy(rows, ({ file = "" }) => file);
}

const plain = (text: string): string =>
  text.replaceAll(/\\[tn\\]/g, (mark) => ({ "\\t": "\t", "\\n": "\n" })[mark] ?? "\\");

let room: Room;
before(async () => {
  room = await openRoom();
});
after(() => room[Symbol.asyncDispose]());

const execute = (statement: string) => asSuperuser(room.database, statement);
const dataOf = ({ data }: Envelope): Row => Object(data) as Row;

function typeOf({ row, field, type = "", status }: Row): string {
  if (row === "status") return `message.${status}`;
  const change = EVENT_OF_CHANGE[type];
  if (change !== undefined && field !== "history") return change;
  if (row === "echo") return "message.echoed";
  return field === "history" ? "message.imported" : "message.received";
}

function assertSame(event: Envelope, row: Row, line: Line, where: string): void {
  assert.deepEqual([event.companyid, event.numberid], [line.companyId, line.numberId], where);
  const data = dataOf(event);
  const person = Object(data[row["row"] === "status" ? "recipient" : "from"]) as Row;
  const [phone, userId] =
    row["row"] === "status"
      ? [row["recipient_id"], row["recipient_user_id"]]
      : [row["from"], row["from_user_id"]];
  if (row["row"] !== "echo") {
    if (/^[1-9][0-9]{5,14}$/.test(phone ?? "")) assert.equal(person["phone"], phone, where);
    if (userId) assert.equal(person["userId"], userId, where);
  }
  if (row["type"] === "text" && row["text"] && event.type !== "message.edited") {
    const text = Array.from(data["text"] ?? "").slice(0, TEXT_LENGTH);
    assert.equal(text.join(""), plain(row["text"]), where);
  }
  const seconds = Number(row["timestamp"]);
  if (row["timestamp"] && seconds > 0 && seconds * 1_000 < Date.now()) {
    assert.equal(Date.parse(String(data["at"])), seconds * 1_000, where);
  }
  if (row["error_code"] && row["row"] === "status") {
    assert.equal((Object(data["error"]) as Row)["code"], row["error_code"], where);
  }
}

test("file by file, what is expected is at a subscriber and in the database", async (t) => {
  const files = expected();
  assert.ok(files.size > 100);
  const company = await addLine(room);
  let count = 0;
  for (const [file, all] of files) {
    const rows = all.filter(
      (one) =>
        ["message", "status", "echo"].includes(one["row"] ?? "") &&
        one["entry_id"] !== "" &&
        one["phone_number_id"] !== "",
    );
    if (rows.length === 0) continue;
    await execute(`truncate ${TABLES}`);
    await execute("update numbers set is_active = false where is_active");
    const lines = new Map<string, Line>();
    for (const { entry_id: wabaId = "", phone_number_id: phoneNumberId = "" } of rows) {
      const key = `${wabaId} ${phoneNumberId}`;
      if (!lines.has(key)) {
        lines.set(key, await addLine(room, { company, wabaId, phoneNumberId }));
      }
    }
    room.seen.length = 0;
    const raw = readFileSync(new URL(file, folder));
    assert.equal(await post(room, raw), 200, file);
    const told = new Set<string>();
    for (const row of rows) {
      const where = `${file} ${row["row"]} ${row["id"]}`;
      const type = typeOf(row);
      const quoted = JSON.stringify(row["id"]);
      const find = (): Envelope[] =>
        room.seen.filter(
          (event) => event.type === type && JSON.stringify(event.data).includes(quoted),
        );
      await until(() => find().length > 0, { label: `${type} of ${where}`, intervalMs: 5 });
      const [event, second] = find();
      assert.ok(event && !second, where);
      const line = lines.get(`${row["entry_id"]} ${row["phone_number_id"]}`);
      assert.ok(line, where);
      assertSame(event, row, line, where);
      told.add(event.id);
      count += 1;
      if (!/received|echoed|imported/.test(type)) continue;
      const stored = await execute(
        `select from messages where provider_message_id = '${row["id"]?.replaceAll("'", "''")}'`,
      );
      assert.equal(stored.length, 1, where);
    }
    const ids = [...told].map((id) => `'${id}'`).join();
    const logged = await execute(`select from whatsapp_events where event_id in (${ids})`);
    assert.equal(logged.length, told.size, file);
  }
  t.diagnostic(`${count} messages and statuses of ${files.size} files`);
  assert.ok(count > 150);
});
