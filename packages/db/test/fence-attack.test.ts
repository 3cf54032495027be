/** What a worker achieves that does not hold a number's fence: nothing. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newAttemptId, newCommandId } from "@manyline/contracts";
import { sql } from "kysely";
import {
  enqueueCommand,
  type Fence,
  fencedBatch,
  fencedTransaction,
  insertAttempt,
  setHealth,
  withCompany,
  writeAuth,
} from "../src/index.ts";
import { numberTables, THE_FENCE } from "./catalogue.ts";
import { entry, hashOf, lineOf, stranger, textFrom } from "./message-support.ts";
import { openWorld, ownedNumber, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

describe("what a worker without the fence achieves", () => {
  /** Every write there is, on rows of the number and on all. */
  const writes: Record<string, (fence: Fence, id: string) => ReturnType<typeof sql>[]> = {
    auth_creds: (f) => [
      sql`insert into auth_creds (company_no, number_no, value) values (${f.companyNo}, ${f.numberNo}, '')`,
      sql`update auth_creds set value = ''`,
      sql`delete from auth_creds`,
    ],
    auth_keys: (f) => [
      sql`insert into auth_keys (company_no, number_no, kind, key, value)
        values (${f.companyNo}, ${f.numberNo}, 'session', 'x', '')`,
      sql`update auth_keys set value = ''`,
      sql`delete from auth_keys`,
    ],
    auth_key_packs: (f) => [
      sql`insert into auth_key_packs (company_no, number_no, kind, pack_id, keys, value)
        values (${f.companyNo}, ${f.numberNo}, 'pre-key', 'x', '{x}', '')`,
      sql`update auth_key_packs set value = ''`,
      sql`delete from auth_key_packs`,
    ],
    commands: (f, id) => [
      sql`insert into commands (company_no, number_no, command_id, verb, deadline_at)
        values (${f.companyNo}, ${f.numberNo}, ${id}, 'reconnect', now())`,
      sql`update commands set state = 'claimed', claimed_epoch = ${f.epoch}`,
      sql`update commands set state = 'done', result = '{}', finished_at = now()`,
      sql`update commands set state = 'dead', finished_at = now()`,
      sql`delete from commands`,
    ],
    numbers: () => [
      sql`insert into numbers (company_no, number_id, provider) values (1, 'num_x', 'linked')`,
      sql`update numbers set status = 'error', phone_e164 = '1'`,
      sql`delete from numbers`,
    ],
    pairing_attempts: (f, id) => [
      sql`insert into pairing_attempts (company_no, number_no, attempt_id, method, state, max, epoch)
        values (${f.companyNo}, ${f.numberNo}, ${id}, 'qr', 'starting', 3, ${f.epoch})`,
      sql`update pairing_attempts set state = 'ended', ended_at = now()`,
      sql`delete from pairing_attempts`,
    ],
    pairing_watch: (f) => [
      sql`insert into pairing_watch values (${f.companyNo}, ${f.numberNo}, now())`,
      sql`update pairing_watch set until = now()`,
      sql`delete from pairing_watch`,
    ],
    whatsapp_session_health: (f) => [
      sql`insert into whatsapp_session_health (company_no, number_no, status)
        values (${f.companyNo}, ${f.numberNo}, 'error')`,
      sql`update whatsapp_session_health set status = 'error', last_seen = now()`,
      sql`delete from whatsapp_session_health`,
    ],
    whatsapp_events: (f, id) => [
      sql`insert into whatsapp_events (company_no, number_no, event_id, type, subject, envelope)
        values (${f.companyNo}, ${f.numberNo}, ${id}, 'x', 'x', '{}')`,
      sql`insert into whatsapp_events (company_no, event_id, type, subject, envelope)
        values (${f.companyNo}, ${id}, 'x', 'x', '{}')`,
      sql`update whatsapp_events set type = 'x'`,
      sql`delete from whatsapp_events`,
    ],
    chats: (f, id) => [
      sql`insert into chats (company_no, number_no, chat_id, type) values (${f.companyNo}, ${f.numberNo}, ${id}, 'direct')`,
      sql`update chats set seq = 99, contact_no = null, merged_into = 1`,
      sql`delete from chats`,
    ],
    messages: (f, id) => [
      sql`insert into messages (company_no, number_no, message_id, chat_no, direction, state, seq,
          provider_message_id, type, at)
        values (${f.companyNo}, ${f.numberNo}, ${id}, 1, 'in', 'received', 1, 'x', 'text', now())`,
      sql`update messages set state = 'sending', claimed_epoch = ${f.epoch}`,
      sql`update messages set text = 'x', deleted_at = now()`,
      sql`delete from messages`,
    ],
    media: (f, id) => [
      sql`insert into media (company_no, number_no, media_id, kind, mime_type)
        values (${f.companyNo}, ${f.numberNo}, ${id}, 'image', 'x')`,
      sql`update media set state = 'gone', source = null`,
      sql`delete from media`,
    ],
    inbound_journal: (f) => [
      sql`insert into inbound_journal (company_no, number_no, hash, value) values (${f.companyNo}, ${f.numberNo}, '', '')`,
      sql`update inbound_journal set done_at = now(), value = null`,
      sql`delete from inbound_journal`,
    ],
    seen: (f) => [
      sql`insert into seen (company_no, number_no, hash) values (${f.companyNo}, ${f.numberNo}, '')`,
      sql`update seen set at = now()`,
      sql`delete from seen`,
    ],
    removed_numbers: (f) => [
      sql`insert into removed_numbers (company_no, number_no) values (${f.companyNo}, ${f.numberNo})`,
      sql`update removed_numbers set removed_at = now()`,
      sql`delete from removed_numbers`,
    ],
    job_items: (f) => [
      sql`insert into job_items (job_id, company_no, number_no) values ('x', ${f.companyNo}, ${f.numberNo})`,
      sql`update job_items set state = 'done'`,
      sql`delete from job_items`,
    ],
    number_usage: (f) => [
      sql`insert into number_usage (company_no, number_no, day, category, kind, is_billable)
        values (${f.companyNo}, ${f.numberNo}, now(), 'x', 'x', true)`,
      sql`update number_usage set priced = 0`,
      sql`delete from number_usage`,
    ],
    priced_messages: (f) => [
      sql`insert into priced_messages (company_no, number_no, hash, is_delivered)
        values (${f.companyNo}, ${f.numberNo}, '', true)`,
      sql`update priced_messages set is_delivered = true`,
      sql`delete from priced_messages`,
    ],
    unknown_sends: (f, id) => [
      sql`insert into unknown_sends (company_no, number_no, message_id) values (${f.companyNo}, ${f.numberNo}, ${id})`,
      sql`update unknown_sends set at = now()`,
      sql`delete from unknown_sends`,
    ],
    notifications: () => [
      sql`update notifications set state = 'sent'`,
      sql`delete from notifications`,
    ],
    number_losses: (f) => [
      sql`insert into number_losses (company_no, number_no, since, reason) values (${f.companyNo}, ${f.numberNo}, now(), 'x')`,
      sql`update number_losses set reason = 'y'`,
      sql`delete from number_losses`,
    ],
    api_tokens: () => [sql`update api_tokens set revoked_at = now()`, sql`delete from api_tokens`],
  };

  async function filled(): Promise<Fence> {
    const owned = await ownedNumber(world);
    const { fence } = owned;
    const { companyNo, numberNo } = fence;
    await writeAuth(world.worker, world.test.keyring, fence, {
      creds: Buffer.from("creds"),
      keys: Array.from({ length: 20 }, (_, index) => ({
        kind: index < 10 ? "pre-key" : "session",
        key: String(index),
        value: Buffer.from("key"),
      })),
      journal: [entry("open"), entry("done")],
    });
    await lineOf(world, owned).commit(
      textFrom(stranger(), {
        journal: [hashOf("done")],
        media: {
          mimeType: "image/png",
          bytes: 1,
          sha256: null,
          fileName: null,
          source: Buffer.from("key"),
        },
      }),
    );
    await fencedTransaction(world.worker, fence, async (tx) => {
      const attemptId = newAttemptId();
      await insertAttempt(tx, fence, {
        attemptId,
        method: "qr",
        state: "starting",
        phone: null,
        max: 3,
      });
      await setHealth(tx, fence, { status: "connected", reconnectAttempts: 0, lastSeenAt: null });
    });
    await withCompany(world.app, companyNo, (tx) =>
      enqueueCommand(tx, {
        commandId: newCommandId(),
        companyNo,
        numberNo,
        verb: "reconnect",
        args: {},
        deadlineMs: 60_000,
      }),
    );
    return fence;
  }

  /** Everything that is stored of the number. */
  async function contents(fence: Fence): Promise<string> {
    const found: unknown[] = [];
    for (const table of await numberTables(world)) {
      const { rows } = await world.superuser.query(
        `select * from ${table} where company_no = $1 order by ${table}::text`,
        [fence.companyNo],
      );
      found.push([table, rows]);
    }
    return JSON.stringify(found);
  }

  /** The SQLSTATE of a refusal, or how many rows were changed. */
  async function attack(run: () => Promise<{ numAffectedRows?: bigint | undefined }>) {
    try {
      return Number((await run()).numAffectedRows ?? 0n);
    } catch (error) {
      assert.ok(error instanceof Error && "code" in error, String(error));
      return String(error.code);
    }
  }

  test("each insert, update and delete changes nothing or is refused: without a fence, with another's, with a stale one", async () => {
    const victim = await filled();
    const other = await filled();
    const stale = { ...victim, epoch: victim.epoch - 1 };
    const tables = (await numberTables(world)).filter(
      (table) => table !== THE_FENCE && !/^(whatsapp_events|messages)_/.test(table),
    );
    assert.deepEqual(new Set(Object.keys(writes)), new Set(tables), "tell this test how to write");
    const untouched = await contents(victim);
    let tries = 0;
    for (const table of tables) {
      for (const statement of writes[table]?.(victim, "probe") ?? []) {
        tries += 1;
        const name = `${table}: ${statement.compile(world.worker).sql}`;
        const bare = await attack(() => statement.execute(world.worker));
        assert.ok(bare === 0 || bare === "42501", `${name}: ${bare}`);
        const staleOne = await attack(() =>
          fencedBatch(world.worker, [stale], async (tx, held) => {
            assert.deepEqual(held, []);
            return statement.execute(tx);
          }),
        );
        assert.ok(staleOne === 0 || staleOne === "42501", `${name}, stale: ${staleOne}`);
        // Under another's fence it may change that one's own rows.
        await attack(() => fencedTransaction(world.worker, other, (tx) => statement.execute(tx)));
        assert.equal(await contents(victim), untouched, name);
      }
    }
    assert.ok(tries >= 50, String(tries));
  });

  test("with the fence the same statements do write", async () => {
    const fence = await filled();
    const { numAffectedRows } = await fencedTransaction(world.worker, fence, (tx) =>
      sql`update numbers set status = 'error'`.execute(tx),
    );
    assert.equal(numAffectedRows, 1n, "of all numbers only the held one");
  });
});
