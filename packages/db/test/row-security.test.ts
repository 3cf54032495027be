import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { sql } from "kysely";
import {
  addFlowKey,
  appendEvents,
  audit,
  createToken,
  enqueueCommand,
  enqueueMessage,
  type Executor,
  fencedTransaction,
  hashPhone,
  insertAttempt,
  putFlowHandler,
  putTenantFlow,
  setHealth,
  spendPairingCode,
  type Tx,
  watchPairing,
  withCompany,
  writeAuth,
} from "../src/index.ts";
import { can as canIn, companyTables as tablesIn } from "./catalogue.ts";
import { lineOf, stranger, textFrom } from "./message-support.ts";
import { ownedNumber, openWorld, type World } from "./support.ts";

type Tenant = Awaited<ReturnType<typeof ownedNumber>> & { commandId: string };

let world: World;
let a: Tenant;
let b: Tenant;
before(async () => {
  world = await openWorld();
  a = await fill("cmd_of_a");
  b = await fill("cmd_of_b");
});
after(() => world[Symbol.asyncDispose]());

/** A company with rows in every table. */
async function fill(commandId: string): Promise<Tenant> {
  const owned = await ownedNumber(world);
  const { fence, company, number } = owned;
  const { companyNo, companyId } = company;
  const { numberNo } = number;
  const { keyring } = world.test;
  const event = {
    natsSubject: `session.connected.${companyId}.${number.numberId}`,
    envelope: {
      specversion: "1.0" as const,
      id: `evt_${companyId}`,
      source: "manyline/test",
      type: "session.connected",
      subject: `${companyId}/${number.numberId}`,
      time: new Date().toISOString(),
      datacontenttype: "application/json" as const,
      dataschema: "manyline:session.connected:v1",
      companyid: companyId,
      data: {},
    },
  };
  await writeAuth(world.worker, keyring, fence, {
    creds: Buffer.from("creds"),
    keys: Array.from({ length: 20 }, (_, index) => ({
      kind: index < 10 ? "pre-key" : "session",
      key: String(index),
      value: Buffer.from("key"),
    })),
  });
  await fencedTransaction(world.worker, fence, async (tx) => {
    await insertAttempt(tx, fence, {
      attemptId: `pai_${companyId}`,
      method: "qr",
      state: "starting",
      phone: null,
      max: 3,
    });
    await setHealth(tx, fence, { status: "connected", reconnectAttempts: 0, lastSeenAt: null });
    await appendEvents(tx, [{ companyNo, numberNo, event }]);
  });
  const phoneHash = hashPhone(companyId, keyring.pepper);
  const limits = { perHour: 5, windowMs: 3_600_000, cooldownMs: 1_800_000 };
  await spendPairingCode(world.worker, { companyNo, phoneHash, limits });
  const line = lineOf(world, owned);
  await line.commit(
    textFrom(stranger(), {
      media: {
        mimeType: "image/png",
        bytes: 1,
        sha256: null,
        fileName: null,
        source: Buffer.from("key"),
      },
    }),
  );
  await withCompany(world.app, companyNo, async (tx) => {
    await enqueueMessage(tx, {
      ...line.source,
      ...fence,
      to: { phone: "79007654321" },
      type: "text",
      text: "x",
      providerMessageId: "3EB0",
      idempotency: { key: "k", hash: Buffer.from("h") },
    });
    await watchPairing(tx, companyNo, numberNo);
    await enqueueCommand(tx, {
      commandId,
      companyNo,
      numberNo,
      verb: "reconnect",
      args: {},
      deadlineMs: 1_000,
    });
    await createToken(tx, { companyNo, name: "test", scopes: ["read"], kind: "api" });
    const key = { flowKeyId: "fky_1", publicKey: "x", fingerprint: "x", privateKey: Buffer.of(1) };
    await addFlowKey(tx, keyring, companyNo, key, 0);
    await putFlowHandler(tx, keyring, companyNo, { kind: "nats" });
    const flow = { name: "x", flowId: "1", action: "navigate" as const, screen: null };
    await putTenantFlow(tx, companyNo, flow);
    await audit(tx, { companyNo, actor: "test", action: "test" });
  });
  return { ...owned, commandId };
}

const companyTables = (kinds: string[]) => tablesIn(world, kinds);
const can = (role: string, table: string, right: string) => canIn(world, role, table, right);

/** The SQLSTATE of a statement that must fail, else "" and the count of rows. */
async function codeOf(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
    return "";
  } catch (error) {
    if (typeof error === "object" && error !== null && "code" in error) return String(error.code);
    throw error;
  }
}

const asA = <T>(work: (tx: Tx) => Promise<T>): Promise<T> =>
  withCompany(world.app, a.company.companyNo, work);

describe("company A", () => {
  test("without a company set, role app sees and changes nothing", async () => {
    const single = world.open("app", 1);
    // A pooled connection that was just used for a company must not remember it.
    await withCompany(single, a.company.companyNo, async () => undefined);
    for (const table of await companyTables(["r", "p", "v"])) {
      if (!(await can("manyline_app", table, "select"))) continue;
      const { rows } = await sql`select company_no from ${sql.table(table)}`.execute(single);
      assert.deepEqual(rows, [], table);
    }
    const { numAffectedRows } = await sql`update companies set name = 'x'`.execute(single);
    assert.equal(numAffectedRows, 0n);
  });

  test("reads its own rows and none of B, in every table and view", async () => {
    let seen = 0;
    for (const table of await companyTables(["r", "p", "v"])) {
      if (!(await can("manyline_app", table, "select"))) continue;
      const { rows } = await asA((tx) =>
        sql<{ companyNo: number }>`select company_no from ${sql.table(table)}`.execute(tx),
      );
      for (const { companyNo } of rows) assert.equal(companyNo, a.company.companyNo, table);
      if (rows.length > 0) seen += 1;
      const { rows: foreign } = await asA((tx) =>
        sql`select 1 as one from ${sql.table(table)} where company_no = ${b.company.companyNo}`.execute(
          tx,
        ),
      );
      assert.deepEqual(foreign, [], table);
    }
    assert.ok(seen >= 22, `rows were seen in ${seen} tables only`);
  });

  test("changes and deletes nothing of B, in every table it may change or delete in", async () => {
    const theirs = b.company.companyNo;
    const changes: Record<string, string> = {
      companies: "name = 'x'",
      numbers: "name = 'x'",
      pairing_watch: "until = now()",
      api_tokens: "revoked_at = now()",
      chats: "seq = 0",
      meta_apps: "app_id = 'x'",
      flow_keys: "retires_at = now()",
      flow_handlers: "url = 'x'",
      tenant_flows: "flow_id = 'x'",
      webhook_subscriptions: "url = 'x'",
      deliveries: "state = 'dead'",
    };
    for (const table of await companyTables(["r", "p"])) {
      if (await can("manyline_app", table, "update")) {
        const change = changes[table];
        assert.ok(change, `tell this test how to update ${table}`);
        const { numAffectedRows } = await asA((tx) =>
          sql`update ${sql.table(table)} set ${sql.raw(change)} where company_no = ${theirs}`.execute(
            tx,
          ),
        );
        assert.equal(numAffectedRows, 0n, table);
      }
      const code = await codeOf(() =>
        asA(async (tx) => {
          const { numAffectedRows } =
            await sql`delete from ${sql.table(table)} where company_no = ${theirs}`.execute(tx);
          assert.equal(numAffectedRows, 0n, table);
        }),
      );
      assert.ok(code === "" || code === "42501", `${table}: ${code}`);
    }
    const moved = await codeOf(() =>
      asA((tx) => sql`update companies set company_no = ${theirs}`.execute(tx)),
    );
    assert.equal(moved, "42501");
  });

  /** One insert per table role app may insert into, for a company and one of its numbers. */
  const inserts: Record<
    string,
    (tx: Executor, companyNo: number, numberNo: number, id: string) => Promise<unknown>
  > = {
    numbers: (tx, companyNo, _numberNo, id) =>
      sql`insert into numbers (company_no, number_id, provider) values (${companyNo}, ${id}, 'linked')`.execute(
        tx,
      ),
    number_fence: (tx, companyNo, numberNo) =>
      sql`insert into number_fence (company_no, number_no) values (${companyNo}, ${numberNo})`.execute(
        tx,
      ),
    commands: (tx, companyNo, numberNo, id) =>
      sql`insert into commands (company_no, command_id, number_no, verb, deadline_at)
        values (${companyNo}, ${id}, ${numberNo}, 'reconnect', now())`.execute(tx),
    pairing_watch: (tx, companyNo, numberNo) =>
      sql`insert into pairing_watch values (${companyNo}, ${numberNo}, now())`.execute(tx),
    api_tokens: (tx, companyNo, numberNo, id) =>
      sql`insert into api_tokens (token_hash, token_id, company_no, number_no, kind, name, scopes)
        values (sha256(${id}::text::bytea), ${id}, ${companyNo}, ${numberNo}, 'api', 'x', '{read}')`.execute(
        tx,
      ),
    audit_log: (tx, companyNo, _numberNo, id) =>
      sql`insert into audit_log (seq, company_no, at, actor, action, prev_hash, hash)
        values (1000000, ${companyNo}, now(), ${id}, 'x', '', '')`.execute(tx),
    whatsapp_events: (tx, companyNo, numberNo, id) =>
      sql`insert into whatsapp_events (company_no, event_id, number_no, type, subject, envelope)
        values (${companyNo}, ${id}, ${numberNo}, 'x', 'x', '{}')`.execute(tx),
    contacts: (tx, companyNo, _numberNo, id) =>
      sql`insert into contacts (company_no, contact_id) values (${companyNo}, ${id})`.execute(tx),
    contact_aliases: (tx, companyNo, _numberNo, id) =>
      sql`insert into contact_aliases (company_no, kind, value, contact_no)
        values (${companyNo}, 'phone', ${id}, 1)`.execute(tx),
    chats: (tx, companyNo, numberNo, id) =>
      sql`insert into chats (company_no, number_no, chat_id, type) values (${companyNo}, ${numberNo}, ${id}, 'direct')`.execute(
        tx,
      ),
    messages: (tx, companyNo, numberNo, id) =>
      sql`insert into messages (company_no, number_no, message_id, chat_no, direction, state, seq,
          provider_message_id, type, at)
        values (${companyNo}, ${numberNo}, ${id}, 1, 'out', 'queued', 1, 'x', 'text', now())`.execute(
        tx,
      ),
    media: (tx, companyNo, numberNo, id) =>
      sql`insert into media (company_no, number_no, media_id, kind, mime_type)
        values (${companyNo}, ${numberNo}, ${id}, 'image', 'x')`.execute(tx),
    meta_apps: (tx, companyNo, _numberNo, id) =>
      sql`insert into meta_apps (company_no, app_id, app_secret, verify_token)
        values (${companyNo}, ${id}, '', '')`.execute(tx),
    flow_keys: (tx, companyNo, _numberNo, id) =>
      sql`insert into flow_keys (company_no, flow_key_id, public_key, fingerprint, private_key)
        values (${companyNo}, ${id}, 'x', 'x', '')`.execute(tx),
    flow_handlers: (tx, companyNo) =>
      sql`insert into flow_handlers (company_no, kind) values (${companyNo}, 'nats')`.execute(tx),
    tenant_flows: (tx, companyNo, _numberNo, id) =>
      sql`insert into tenant_flows (company_no, name, flow_id, action)
        values (${companyNo}, ${id}, '1', 'navigate')`.execute(tx),
    webhook_subscriptions: (tx, companyNo, _numberNo, id) =>
      sql`insert into webhook_subscriptions (company_no, subscription_id, url, events, secret)
        values (${companyNo}, ${id}, 'x', '{}', '')`.execute(tx),
    deliveries: (tx, companyNo, _numberNo, id) =>
      sql`insert into deliveries (company_no, subscription_id, event_id, type)
        values (${companyNo}, ${id}, 'x', 'x')`.execute(tx),
    idempotency: (tx, companyNo, _numberNo, id) =>
      sql`insert into idempotency (company_no, key, request_hash, message_id)
        values (${companyNo}, ${id}, '', ${id})`.execute(tx),
  };

  test("inserts nothing for B, and learns nothing from the refusal", async () => {
    for (const table of await companyTables(["r", "p"])) {
      if (!(await can("manyline_app", table, "insert"))) continue;
      const insert = inserts[table];
      assert.ok(insert, `tell this test how to insert into ${table}`);
      const real = await codeOf(() =>
        asA((tx) => insert(tx, b.company.companyNo, b.number.numberNo, "x1")),
      );
      const made = await codeOf(() => asA((tx) => insert(tx, 424_242, 424_242, "x2")));
      // 42501: row security. Whether the company exists makes no difference.
      assert.deepEqual([real, made], ["42501", "42501"], table);
    }
  });

  test("cannot point to a number of B: the same refusal as for a number that does not exist", async () => {
    for (const table of ["number_fence", "commands", "pairing_watch", "api_tokens", "chats"]) {
      const insert = inserts[table];
      assert.ok(insert);
      const mine = a.company.companyNo;
      const real = await codeOf(() => asA((tx) => insert(tx, mine, b.number.numberNo, "x1")));
      const made = await codeOf(() => asA((tx) => insert(tx, mine, 424_242, "x2")));
      assert.deepEqual([real, made], ["23503", "23503"], table);
    }
  });

  test("cannot find out ids of B by trying to take them", async () => {
    const mine = a.company.companyNo;
    const attempts = {
      number: () =>
        asA(
          (tx) =>
            inserts["numbers"]?.(tx, mine, 0, b.number.numberId) ?? Promise.reject(new Error()),
        ),
      command: () =>
        asA(
          (tx) =>
            inserts["commands"]?.(tx, mine, a.number.numberNo, b.commandId) ??
            Promise.reject(new Error()),
        ),
      event: () =>
        asA(
          (tx) =>
            inserts["whatsapp_events"]?.(
              tx,
              mine,
              a.number.numberNo,
              `evt_${b.company.companyId}`,
            ) ?? Promise.reject(new Error()),
        ),
    };
    for (const [what, run] of Object.entries(attempts)) assert.equal(await codeOf(run), "", what);
    const { rows } = await world.superuser.query<{ company_no: number }>(
      "select company_no from numbers where number_id = $1 order by 1",
      [b.number.numberId],
    );
    assert.deepEqual(
      rows.map((row) => row.company_no),
      [mine, b.company.companyNo],
    );
  });

  test("cannot make itself an admin, nor give a token to B", async () => {
    const token = (companyNo: number | null, scope: "admin" | "read") =>
      codeOf(() =>
        asA((tx) => createToken(tx, { companyNo, name: "x", scopes: [scope], kind: "api" })),
      );
    assert.equal(await token(null, "admin"), "42501");
    assert.equal(await token(a.company.companyNo, "admin"), "23514");
    assert.equal(await token(b.company.companyNo, "read"), "42501");
  });

  test("cannot switch row security off", async () => {
    await assert.rejects(
      asA(async (tx) => {
        await sql`set local row_security = off`.execute(tx);
        await sql`select * from numbers`.execute(tx);
      }),
      /row-level security/,
    );
    await assert.rejects(
      sql`alter table numbers disable row level security`.execute(world.app),
      /must be owner/,
    );
    await assert.rejects(sql`set role manyline_worker`.execute(world.app), /permission denied/);
  });
});

describe("other roles", () => {
  test("platform cannot write what is the owner's to write", async () => {
    await assert.rejects(
      sql`update numbers set status = 'error'`.execute(world.platform),
      /permission denied/,
    );
  });

  test("a worker without a fence changes no number, no company and no attempt", async () => {
    for (const statement of [
      "update numbers set status = 'error'",
      "update companies set phone_missing_notified = true",
      "update pairing_attempts set state = 'code'",
      "update whatsapp_session_health set status = 'error'",
      "update commands set state = 'claimed'",
      "update messages set text = 'x'",
      "update chats set seq = 0",
      "update contacts set name = 'x'",
      "update contact_aliases set contact_no = 1",
      "update media set state = 'gone'",
      "update inbound_journal set done_at = now(), value = null",
    ]) {
      const { numAffectedRows } = await sql.raw(statement).execute(world.worker);
      assert.equal(numAffectedRows, 0n, statement);
    }
    await assert.rejects(
      sql`update companies set name = 'x'`.execute(world.worker),
      /permission denied/,
    );
  });

  test("the app inserts no message but one that waits to be sent", async () => {
    for (const [direction, state] of [
      ["in", "received"],
      ["out", "sent"],
    ]) {
      const made = asA((tx) =>
        sql`insert into messages (company_no, number_no, message_id, chat_no, direction, state, seq,
            provider_message_id, type, at)
          values (${a.company.companyNo}, ${a.number.numberNo}, 'msg_x', 1, ${direction}, ${state}, 1, 'x',
            'text', now())`.execute(tx),
      );
      await assert.rejects(made, /row-level security/);
    }
    await assert.rejects(
      asA((tx) => sql`update messages set state = 'sent'`.execute(tx)),
      /permission denied/,
    );
  });

  test("nobody can change or delete what is in the audit log", async () => {
    for (const db of [world.app, world.platform, world.worker]) {
      for (const statement of ["delete from audit_log", "update audit_log set actor = 'x'"]) {
        await assert.rejects(sql.raw(statement).execute(db), /permission denied/);
      }
    }
  });
});
