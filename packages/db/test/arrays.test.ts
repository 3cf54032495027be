/** What is handed over in binary is what Postgres reads as text. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client } from "pg";
import { bigints, byteas, ints, texts } from "../src/arrays.ts";
import { openTestDatabase, type OpenTestDatabase } from "../src/testing.ts";

let database: OpenTestDatabase;
let client: Client;

before(async () => {
  database = await openTestDatabase();
  client = new Client({ connectionString: database.superuserUrl });
  await client.connect();
});
after(async () => {
  await client.end();
  await database.stop();
});

/** The array as Postgres would write it to JSON. */
async function read(type: string, bytes: Buffer): Promise<unknown> {
  const { rows } = await client.query<{ read: unknown }>(`select to_json($1::${type}[]) as read`, [
    bytes,
  ]);
  return rows[0]?.read;
}

void test("texts, whatever is in them", async () => {
  const values = ["", "a", null, 'quo"te \\ {b,c}', "NULL", "Zoë 👋🏽 ñ", "x".repeat(70_000), null];
  assert.deepEqual(await read("text", texts(values)), values);
  assert.deepEqual(await read("text", texts([])), []);
  assert.deepEqual(await read("text", texts([null])), [null]);
});

void test("numbers up to the ends of their range", async () => {
  const small = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), null];
  assert.deepEqual(await read("int", ints(small)), small);
  const large = [
    0,
    1,
    -1,
    2 ** 32,
    2 ** 32 - 1,
    -(2 ** 32),
    -(2 ** 32) - 1,
    Number.MAX_SAFE_INTEGER,
    Number.MIN_SAFE_INTEGER,
    null,
  ];
  assert.deepEqual(await read("bigint", bigints(large)), large);
  assert.throws(() => ints([2 ** 31]), RangeError);
});

void test("bytes", async () => {
  const { rows } = await client.query<{ read: (Buffer | null)[] }>("select $1::bytea[] as read", [
    byteas([Buffer.from([0, 255, 92, 34]), null, new Uint8Array(0)]),
  ]);
  assert.deepEqual(rows[0]?.read, [Buffer.from([0, 255, 92, 34]), null, Buffer.alloc(0)]);
});

void test("a text that Postgres cannot store is refused, not cut", async () => {
  await assert.rejects(read("text", texts(["a\0b"])), { code: "22021" });
});
