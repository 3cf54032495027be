/** A company or a number that is removed while somebody is writing for it: nothing of it comes into being afterwards. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ManylineError, newMediaId } from "@manyline/contracts";
import { until } from "@manyline/testkit";
import { sql } from "kysely";
import {
  deleteCompany,
  fencedTransaction,
  FencedError,
  housekeeping,
  inTransaction,
  insertMedia,
  listDroppedFiles,
  notePlaceOfMedia,
  removeNumber,
  withCompany,
} from "../src/index.ts";
import { openLine, stranger, textFrom, type Line } from "./message-support.ts";
import { openWorld, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const remove = ({ source }: Line) =>
  inTransaction(world.platform, (tx) => deleteCompany(tx, source.fence.companyNo));

const rowsOf = async (table: string, { source }: Line): Promise<number> => {
  const { rows } = await world.superuser.query<{ count: string }>(
    `select count(*) from ${table} where company_no = $1`,
    [source.fence.companyNo],
  );
  return Number(rows[0]?.count);
};

const file = (line: Line) => ({
  ...line.source.fence,
  mediaId: newMediaId(),
  kind: "upload",
  mimeType: "image/png",
  bytes: 1,
  sha256: "x",
  fileName: null,
  location: "1/00/x",
});

test("an event that is being written when its company goes does not stay behind", async () => {
  const line = await openLine(world);
  const { companyNo, numberNo } = line.source.fence;
  const held = Promise.withResolvers<void>();
  const written = Promise.withResolvers<void>();
  const writing = fencedTransaction(world.worker, line.source.fence, async (tx) => {
    await sql`insert into whatsapp_events (company_no, number_no, event_id, type, subject, envelope)
      values (${companyNo}, ${numberNo}, 'evt_late', 'x', 'x', '{}')`.execute(tx);
    written.resolve();
    await held.promise;
  });
  await written.promise;
  const removing = remove(line);
  await until(
    async () => {
      const { rows } = await world.superuser.query(
        "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like 'delete from%'",
      );
      return rows.length > 0;
    },
    { label: "the removal waits" },
  );
  held.resolve();
  await writing;
  assert.equal(await removing, true);
  assert.equal(await rowsOf("whatsapp_events", line), 0);
  await assert.rejects(line.commit(textFrom(stranger())), FencedError);
  await housekeeping(world.worker);
  for (const table of ["messages", "media", "inbound_journal", "seen", "chats", "contacts"]) {
    assert.equal(await rowsOf(table, line), 0, table);
  }
});

test("a file that was uploaded for a number that is gone by then gets no row", async () => {
  const line = await openLine(world);
  const { companyNo, numberNo } = line.source.fence;
  const isGone = (error: unknown): boolean =>
    error instanceof ManylineError && error.code === "NUMBER_NOT_FOUND";
  await withCompany(world.app, companyNo, (tx) => removeNumber(tx, companyNo, numberNo));
  const insert = () => withCompany(world.app, companyNo, (tx) => insertMedia(tx, file(line)));
  await assert.rejects(insert(), isGone);
  await remove(line);
  await assert.rejects(insert(), isGone);
  assert.equal(await rowsOf("media", line), 0);
});

test("a file that is being fetched when its company goes is removed with its row", async () => {
  const line = await openLine(world);
  const { fence } = line.source;
  const media = { mimeType: "image/png", bytes: 1, sha256: null, fileName: null };
  const source = Buffer.from("where it lies");
  await line.commit(textFrom(stranger(), { type: "image", media: { ...media, source } }));
  const { rows } = await world.superuser.query<{ media_id: string }>(
    "select media_id from media where company_no = $1",
    [fence.companyNo],
  );
  const mediaId = rows[0]?.media_id ?? "";
  const location = `${fence.companyNo}/${mediaId.slice(-2)}/${mediaId}`;
  const note = () =>
    fencedTransaction(world.worker, fence, (tx) => notePlaceOfMedia(tx, fence, mediaId, location));
  assert.equal(await note(), true);
  await remove(line);
  await assert.rejects(note(), FencedError);
  await housekeeping(world.worker);
  assert.ok((await listDroppedFiles(world.worker, 100)).includes(location));
});
