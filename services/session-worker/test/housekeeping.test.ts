import assert from "node:assert/strict";
import { mkdtemp, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { newMediaId } from "@manyline/contracts";
import { openDatabase } from "@manyline/db";
import { openTestDatabase } from "@manyline/db/testing";
import { openMediaStore } from "@manyline/media";
import { createSilentLogger } from "@manyline/runtime";
import { until } from "@manyline/testkit";
import { Housekeeper } from "../src/housekeeping.ts";

test("files whose rows are gone are removed, and what a crash left without a row when it is old", async () => {
  await using database = await openTestDatabase();
  const folder = await mkdtemp(join(tmpdir(), "manyline-housekeeping-"));
  const media = openMediaStore(folder);
  const db = openDatabase({ url: database.urls.worker, applicationName: "test" });
  const all = openDatabase({ url: database.superuserUrl, applicationName: "test" });
  const put = async (): Promise<string> => {
    const key = { companyNo: 1, mediaId: newMediaId() };
    const { location } = await media.put(key, [Buffer.from("x")], { maxBytes: 1 });
    return location;
  };
  const isThere = async (location: string): Promise<boolean> => {
    const found = await media.open(location);
    found?.stream.destroy();
    return found !== undefined;
  };
  const [dropped, left, kept] = [await put(), await put(), await put()];
  const longAgo = new Date(Date.now() - 92 * 86_400_000);
  await utimes(join(folder, left), longAgo, longAgo);
  await all.insertInto("droppedFiles").values({ companyNo: 1, location: dropped }).execute();
  const housekeeper = new Housekeeper({
    db,
    media,
    workerId: "test",
    logger: createSilentLogger(),
    eventDays: 8,
  });
  try {
    housekeeper.start();
    await until(async () => !(await isThere(dropped)) && !(await isThere(left)));
    assert.ok(await isThere(kept));
    const listed = () => all.selectFrom("droppedFiles").select("location").execute();
    await until(async () => (await listed()).length === 0);
  } finally {
    await housekeeper.stop();
    await Promise.all([db.stop(), all.stop()]);
    await rm(folder, { recursive: true });
  }
});
