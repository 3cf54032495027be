import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  type CompanyId,
  newNumberId,
  type NumberId,
  normaliseWppConnect,
} from "@manyline/contracts";
import {
  commitWpp,
  createCompany,
  createNumber,
  type Database,
  FencedError,
  inTransaction,
  openDatabase,
} from "@manyline/db";
import { openTestDatabase, type OpenTestDatabase } from "@manyline/db/testing";
import { openMediaStore } from "@manyline/media";
import { catchUpWpp } from "../src/wpp-catch-up.ts";

let database: OpenTestDatabase;
let folder: string;
const open: Database[] = [];
const as = (role: "ingest" | "platform" | "worker"): Database => {
  const url = database.urls[role];
  const db = openDatabase({ url, role, applicationName: "test", poolSize: 2 });
  open.push(db);
  return db;
};
before(async () => {
  database = await openTestDatabase();
  folder = await mkdtemp(join(tmpdir(), "catch-up-"));
});
after(async () => {
  await Promise.all(open.map((db) => db.stop()));
  await database.stop();
  await rm(folder, { recursive: true, force: true });
});

test("what is unread is told once, whether a webhook has told it before or tells it later", async () => {
  const { keyring } = database;
  const [platform, worker, ingest] = [as("platform"), as("worker"), as("ingest")];
  const company = await inTransaction(platform, (tx) =>
    createCompany(tx, keyring, {
      companyId: "acme",
      name: "Acme",
      country: null,
      phone: null,
      adminEmail: null,
      notificationEmail: null,
      timezone: "UTC",
      language: "en",
      whatsappEnabled: true,
      whatsappConfig: {},
    }),
  );
  const { companyNo } = company;
  const { numberNo, numberId } = await inTransaction(platform, (tx) =>
    createNumber(tx, companyNo, {
      numberId: newNumberId(),
      provider: "wpp",
      phone: null,
      name: null,
      maxNumbers: 5,
    }),
  );
  const source = {
    fence: { companyNo, numberNo, epoch: 0 },
    companyId: "acme" as CompanyId,
    numberId: numberId as NumberId,
    provider: "wpp" as const,
    phone: null,
    service: "session-worker",
  };
  const from = "5511900000001@c.us";
  const message = (id: string, more: object = {}): object => ({
    id: `false_${from}_${id}`,
    from,
    type: "chat",
    body: id,
    t: 1_700_000_000,
    ...more,
  });
  const image = {
    type: "image",
    mimetype: "image/jpeg",
    body: Buffer.alloc(999).toString("base64"),
  };
  const told = (body: object): Promise<{ repeated: number }> => {
    const whole = { ...body, event: "onmessage", session: "s1" };
    const items = [normaliseWppConnect(whole, new Date())];
    const hook = { companyNo, numberNo };
    const files = new Map();
    const webhook = { hook, items, files, arrivedAt: new Date(), isLast: true };
    return commitWpp(ingest, keyring, { service: "webhook-ingest" }, [webhook]);
  };
  assert.equal((await told(message("A"))).repeated, 0);
  const parts = { db: worker, keyring, media: openMediaStore(folder) };
  const unread = [message("A"), message("B"), message("C", image), "nonsense", {}];
  const first = await catchUpWpp(parts, source, "s1", unread);
  const types = first.events.map(({ type }) => type);
  assert.deepEqual([types, first.repeated], [["message.received", "message.received"], 1]);
  const second = await catchUpWpp(parts, source, "s1", unread);
  assert.deepEqual([second.events, second.repeated], [[], 3]);
  assert.equal((await told(message("B"))).repeated, 1);
  const files = (await readdir(folder, { recursive: true })).filter((one) => /med_/.test(one));
  assert.equal(files.length, 1, "of a repetition nothing is left");
  const stale = { ...source, fence: { ...source.fence, epoch: 7 } };
  await assert.rejects(catchUpWpp(parts, stale, "s1", [message("D")]), FencedError);
});
