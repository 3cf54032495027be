import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { messageIdFrom, newAttemptId, newCommandId } from "@manyline/contracts";
import {
  addFlowKey,
  commitIngest,
  claimCommands,
  createToken,
  enqueueCommand,
  enqueueMessage,
  fencedTransaction,
  forgetDroppedFiles,
  hashPhone,
  housekeeping,
  insertAttempt,
  insertMedia,
  listDroppedFiles,
  registerWorker,
  revokeToken,
  spendPairingCode,
  tryHousekeeping,
  updateAttempt,
  watchPairing,
  withCompany,
  writeAuth,
} from "../src/index.ts";
import { entry, hashOf, openLine, stranger, textFrom } from "./message-support.ts";
import { webhookOf } from "./meta-support.ts";
import { addCompany, openWorld, ownedNumber, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const ago = (statement: string, days: number) => world.superuser.query(statement, [`${days} days`]);

async function count(table: string, where = "true"): Promise<number> {
  const { rowCount } = await world.superuser.query(`select from ${table} where ${where}`);
  return rowCount ?? 0;
}

test("one worker at a time does the housekeeping, and another may when its time is over", async () => {
  const workers = ["a", "b", "c", "d"];
  const got = await Promise.all(
    workers.map((id) => tryHousekeeping(world.worker, "task", id, 60_000)),
  );
  assert.equal(got.filter(Boolean).length, 1);
  assert.equal(await tryHousekeeping(world.worker, "another task", "a", 60_000), true);
  assert.equal(await tryHousekeeping(world.platform, "task", "gateway", 60_000), false);
  assert.equal(await tryHousekeeping(world.worker, "task", "a", 60_000), false);
  await world.superuser.query("update housekeeping set expires_at = now() - interval '1 ms'");
  assert.equal(await tryHousekeeping(world.worker, "task", "b", 60_000), true);
  assert.equal(await tryHousekeeping(world.platform, "jobs", "gateway", 60_000), true);
});

test("nothing young is deleted", async () => {
  await ownedNumber(world);
  const done = await housekeeping(world.worker);
  assert.deepEqual(new Set(Object.values(done)), new Set([0]));
});

test("ended attempts go after 30 days, live ones never", async () => {
  const { fence } = await ownedNumber(world);
  for (const isEnded of [true, true, false]) {
    const attemptId = newAttemptId();
    await fencedTransaction(world.worker, fence, async (tx) => {
      await insertAttempt(tx, fence, {
        attemptId,
        method: "qr",
        state: "starting",
        phone: null,
        max: 3,
      });
      if (!isEnded) return;
      const patch = { state: "ended", outcome: "unused" } as const;
      await updateAttempt(tx, world.test.keyring, fence, attemptId, patch);
    });
  }
  await ago("update pairing_attempts set started_at = now() - $1::interval", 100);
  await ago(
    `update pairing_attempts set ended_at = now() - $1::interval where attempt_id =
      (select min(attempt_id) from pairing_attempts where ended_at is not null)`,
    31,
  );
  assert.equal((await housekeeping(world.worker))["attemptsDeleted"], 1);
  assert.equal(await count("pairing_attempts"), 2);
  assert.equal((await housekeeping(world.worker, { attemptDays: 0 }))["attemptsDeleted"], 1);
  assert.equal(await count("pairing_attempts", "ended_at is null"), 1);
});

test("webhooks of nobody go 30 days after they came last", async () => {
  await using ingest = world.open("ingest", 1);
  const webhooks = ["one", "two"].map((id) =>
    webhookOf([{ id, changes: [{ field: "account_update", value: { event: "X" } }] }]),
  );
  await commitIngest(ingest, world.test.keyring, { service: "test" }, webhooks);
  await ago("update unroutable set last_at = now() - $1::interval", 29.9);
  assert.equal((await housekeeping(world.worker))["unroutableDeleted"], 0);
  await ago("update unroutable set last_at = now() - $1::interval where waba_id = 'one'", 30.1);
  assert.equal((await housekeeping(world.worker))["unroutableDeleted"], 1);
  assert.equal(await count("unroutable"), 1);
});

test("a key of flows goes a day after it has ceased to answer, the current one stays", async () => {
  const { companyNo } = await addCompany(world);
  for (const flowKeyId of ["fky_1", "fky_2", "fky_3"]) {
    const key = { flowKeyId, publicKey: "x", fingerprint: "x", privateKey: Buffer.of(1) };
    await withCompany(world.app, companyNo, (tx) =>
      addFlowKey(tx, world.test.keyring, companyNo, key, 60_000),
    );
  }
  await ago(
    "update flow_keys set retires_at = now() - $1::interval where flow_key_id = 'fky_1'",
    1.1,
  );
  await ago(
    "update flow_keys set retires_at = now() - $1::interval where flow_key_id = 'fky_2'",
    0.9,
  );
  assert.equal((await housekeeping(world.worker))["flowKeysDeleted"], 1);
  assert.equal(await count("flow_keys"), 2);
});

test("commands: overdue ones die, finished ones go after 7 days", async () => {
  const { fence, number } = await ownedNumber(world);
  const enqueue = (deadlineMs: number) =>
    withCompany(world.app, fence.companyNo, (tx) =>
      enqueueCommand(tx, {
        commandId: newCommandId(),
        companyNo: fence.companyNo,
        numberNo: fence.numberNo,
        verb: "reconnect",
        args: {},
        deadlineMs,
      }),
    );
  await enqueue(60_000);
  await claimCommands(
    world.worker,
    { workerId: "w1", shardIds: [number.shardId] },
    { limit: 10, perNumber: 10 },
  );
  await enqueue(-5_000);
  assert.equal((await housekeeping(world.worker))["commandsExpired"], 1);
  await ago(
    "update commands set finished_at = now() - $1::interval where finished_at is not null",
    6.9,
  );
  assert.equal((await housekeeping(world.worker))["commandsDeleted"], 0);
  await ago(
    "update commands set finished_at = now() - $1::interval where finished_at is not null",
    7.1,
  );
  assert.equal((await housekeeping(world.worker))["commandsDeleted"], 1);
  assert.equal(await count("commands", "state = 'claimed'"), 1);
});

test("tokens go 30 days after they expired or were revoked; lasting ones stay", async () => {
  const { companyNo } = await addCompany(world);
  await withCompany(world.app, companyNo, async (tx) => {
    const base = { companyNo, name: "t", scopes: ["read"], kind: "api" } as const;
    await createToken(tx, base);
    await createToken(tx, { ...base, ttlMs: 1_000 });
    const { tokenId } = await createToken(tx, base);
    await revokeToken(tx, companyNo, tokenId);
  });
  const age = (days: number) =>
    ago(
      `update api_tokens set expires_at = case when expires_at is not null then now() - $1::interval end,
        revoked_at = case when revoked_at is not null then now() - $1::interval end`,
      days,
    );
  await age(29);
  assert.equal((await housekeeping(world.worker))["tokensDeleted"], 0);
  await age(31);
  assert.equal((await housekeeping(world.worker))["tokensDeleted"], 2);
  assert.equal(await count("api_tokens"), 1);
});

test("watches and limits go a day after their use, running cooldowns stay", async () => {
  const { fence } = await ownedNumber(world);
  const { companyNo, numberNo } = fence;
  await withCompany(world.app, companyNo, (tx) => watchPairing(tx, companyNo, numberNo));
  const limits = { perHour: 1, windowMs: 3_600_000, cooldownMs: 1_800_000 };
  const phoneHash = hashPhone("79001234567", world.test.keyring.pepper);
  const spend = () => spendPairingCode(world.worker, { companyNo, phoneHash, limits });
  await spend();
  const keep = await housekeeping(world.worker);
  assert.deepEqual([keep["watchesDeleted"], keep["limitsDeleted"]], [0, 0]);
  await ago("update pairing_watch set until = now() - $1::interval", 2);
  await ago("update whatsapp_rate_limits set updated_at = now() - $1::interval", 2);
  await ago("update pairing_phone_limits set updated_at = now() - $1::interval", 2);
  const done = await housekeeping(world.worker);
  assert.deepEqual([done["watchesDeleted"], done["limitsDeleted"]], [1, 2]);

  await spend();
  assert.equal((await spend()).cooldownStarted, true);
  await ago("update whatsapp_rate_limits set updated_at = now() - $1::interval", 2);
  assert.equal((await housekeeping(world.worker))["limitsDeleted"], 0);
});

test("workers go 7 days after they were seen, unless they own a shard", async () => {
  await registerWorker(world.worker, { workerId: "gone", generation: 1, capacity: 1 });
  await ago("update workers set seen_at = now() - $1::interval", 8);
  assert.ok((await count("workers")) >= 2);
  assert.equal((await housekeeping(world.worker))["workersDeleted"], 1);
  assert.equal(await count("workers", "worker_id = 'w1'"), 1);
});

test("the history of shards goes after 7 days, bulk jobs 30 days after they were finished", async () => {
  await ownedNumber(world);
  await world.superuser.query(
    `insert into jobs (job_id, kind, per_second, created_by, finished_at)
      values ('job_done', 'pair', 1, 'test', now()), ('job_open', 'pair', 1, 'test', null)`,
  );
  await world.superuser.query(
    `insert into job_items (job_id, company_no, number_no)
      select 'job_done', company_no, number_no from numbers limit 1`,
  );
  const moves = await count("shard_moves");
  assert.ok(moves > 0);
  const age = async (days: number) => {
    await ago("update shard_moves set at = now() - $1::interval", days);
    await ago("update jobs set created_at = now() - $1::interval", days);
    await ago(
      "update jobs set finished_at = now() - $1::interval where finished_at is not null",
      days,
    );
    const done = await housekeeping(world.worker);
    return [done["movesDeleted"], done["jobsDeleted"]];
  };
  assert.deepEqual(await age(6.9), [0, 0]);
  assert.deepEqual(await age(29), [moves, 0]);
  assert.equal(await count("job_items"), 1);
  assert.deepEqual(await age(31), [0, 1]);
  assert.equal(await count("job_items"), 0);
  assert.equal(await count("jobs", "job_id = 'job_open'"), 1);
});

test("what de-duplicates goes after 8 and 9 days, files with the messages; what is open stays", async () => {
  const line = await openLine(world);
  const { fence } = line.source;
  await writeAuth(world.worker, world.test.keyring, fence, {
    journal: [entry("open"), entry("done")],
  });
  const anna = stranger();
  const message = textFrom(anna, {
    journal: [hashOf("done")],
    media: {
      mimeType: "image/png",
      bytes: 1,
      sha256: null,
      fileName: null,
      source: Buffer.from("key"),
    },
  });
  await line.commit(message, {
    kind: "edit",
    target: message.providerMessageId,
    providerMessageId: "E",
    chat: message.chat,
    from: anna,
    at: new Date(),
    text: "new",
  });
  await withCompany(world.app, fence.companyNo, (tx) =>
    enqueueMessage(tx, {
      ...line.source,
      ...fence,
      to: { phone: "79007654321" },
      type: "text",
      text: "x",
      providerMessageId: "3EB0",
      idempotency: { key: "k", hash: Buffer.from("h") },
    }),
  );
  const age = async (days: number) => {
    await ago("update inbound_journal set received_at = now() - $1::interval", days);
    await ago(
      "update inbound_journal set done_at = now() - $1::interval where done_at is not null",
      days,
    );
    await ago("update seen set at = now() - $1::interval", days);
    await ago("update idempotency set created_at = now() - $1::interval", days);
    await ago("update media set created_at = now() - $1::interval", days);
    const done = await housekeeping(world.worker);
    return ["journal", "seen", "idempotency", "media"].map((name) => done[`${name}Deleted`]);
  };
  assert.deepEqual(await age(7.9), [0, 0, 0, 0]);
  assert.deepEqual(await age(8.1), [1, 0, 0, 0]);
  assert.deepEqual(await age(9.1), [0, 1, 1, 0]);
  assert.deepEqual(await age(91), [0, 0, 0, 1]);
  assert.equal(await count("inbound_journal", "value is not null"), 1);
});

test("files whose rows are gone are listed until they were removed", async () => {
  const line = await openLine(world);
  const { companyNo, numberNo } = line.source.fence;
  const upload = async (digit: string): Promise<string> => {
    const mediaId = `med_${digit.repeat(32)}`;
    const location = `${companyNo}/${digit.repeat(2)}/${mediaId}`;
    const what = { kind: "upload", mimeType: "image/png", bytes: 1, sha256: "x", fileName: null };
    await withCompany(world.app, companyNo, (tx) =>
      insertMedia(tx, { companyNo, numberNo, mediaId, location, ...what }),
    );
    return location;
  };
  const [old, gone, kept] = [await upload("a"), await upload("b"), await upload("c")];
  await world.superuser.query(
    "update media set created_at = now() - interval '91 days' where location = $1",
    [old],
  );
  await housekeeping(world.worker);
  assert.deepEqual(await listDroppedFiles(world.worker, 10), [old]);
  await world.superuser.query("update media set state = 'gone' where location = $1", [gone]);
  assert.deepEqual(new Set(await listDroppedFiles(world.worker, 10)), new Set([old, gone]));
  assert.equal((await listDroppedFiles(world.worker, 1)).length, 1);
  assert.equal(await forgetDroppedFiles(world.worker, [old, gone, kept]), 2);
  assert.deepEqual(await listDroppedFiles(world.worker, 10), []);
});

test("months of messages are made ahead, and dropped when they ended 90 days ago", async () => {
  const old = messageIdFrom(new Date("2020-01-31T23:59:59.999Z"));
  await world.superuser.query(
    `create table messages_202001 partition of messages
      for values from ('${messageIdFrom(new Date("2020-01-01T00:00:00Z"))}')
      to ('${messageIdFrom(new Date("2020-02-01T00:00:00Z"))}')`,
  );
  await world.superuser.query("alter table messages_202001 owner to manyline_owner");
  const { rows } = await world.superuser.query<{ relname: string; last: string; lo: string }>(
    `select relname, pg_get_expr(relpartbound, oid) as lo from pg_class where relname ~ '^messages_[0-9]{6}$'
      order by 1 desc limit 1`,
  );
  const insert = (id: string) =>
    world.superuser.query(
      `insert into messages (company_no, message_id, number_no, chat_no, direction, state, seq,
          provider_message_id, type, at)
        values (1, $1, 1, 1, 'in', 'received', 1, 'x', 'text', now())`,
      [id],
    );
  await insert(old);
  const name = rows[0]?.relname ?? "";
  await world.superuser.query(`drop table ${name}`);
  // A message of the month that nobody made waits in the default partition, and is moved.
  const year = Number(name.slice(-6, -2));
  await insert(messageIdFrom(new Date(Date.UTC(year, Number(name.slice(-2)) - 1, 15))));
  assert.equal(await count("messages_default"), 1);
  const done = await housekeeping(world.worker);
  assert.deepEqual([done["messageMonthsDropped"], done["messageMonthsMade"]], [1, 1]);
  assert.deepEqual([await count("messages_default"), await count(name)], [0, 1]);
  await assert.rejects(housekeeping(world.worker, { messageDays: 5 }), AggregateError);
});

test("old days of the event log are dropped, and the next ones are made", async () => {
  const name = `whatsapp_events_20200101`;
  await world.superuser.query(
    `create table ${name} partition of whatsapp_events for values from ('2020-01-01Z') to ('2020-01-02Z')`,
  );
  await world.superuser.query(`alter table ${name} owner to manyline_owner`);
  const next = await world.superuser.query<{ relname: string }>(
    `select relname from pg_class where relname ~ '^whatsapp_events_[0-9]{8}$' order by 1 desc limit 1`,
  );
  await world.superuser.query(`drop table ${next.rows[0]?.relname}`);
  const done = await housekeeping(world.worker);
  assert.deepEqual([done["eventDaysDropped"], done["partitionsMade"]], [1, 1]);
});

test("where events were published is forgotten after 3 days, with streams not filled from further back", async () => {
  await world.superuser.query(`insert into event_publications
      (publication_no, event_nos, company_nos, created_at)
    select -n, array[-n], array[1], now() - n * interval '1 day' from generate_series(1, 5) n`);
  const done = await housekeeping(world.worker);
  assert.equal(done["publicationsDeleted"], 3);
  const { rows } = await world.superuser.query<{ no: string }>(
    "delete from event_publications where publication_no < 0 returning publication_no as no",
  );
  assert.deepEqual(new Set(rows.map(({ no }) => Number(no))), new Set([-1, -2]));
});

test("one rule that fails does not keep the others from running", async () => {
  await registerWorker(world.worker, { workerId: "gone", generation: 1, capacity: 1 });
  await ago("update workers set seen_at = now() - $1::interval where worker_id = 'gone'", 8);
  await assert.rejects(housekeeping(world.worker, { eventDays: 0 }), AggregateError);
  assert.equal(await count("workers", "worker_id = 'gone'"), 0);
});
