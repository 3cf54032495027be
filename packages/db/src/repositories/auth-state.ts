import { randomUUID } from "node:crypto";
import { type RawBuilder, sql } from "kysely";
import type { Keyring, Sealer } from "../crypto/keyring.ts";
import { unpack, pack } from "../crypto/pack.ts";
import { FencedError, isRetriable } from "../errors.ts";
import { type Executor, firstRow, rows, type Tx } from "../open.ts";
import { credsContext, keyContext, packContext } from "./auth-contexts.ts";
import { beginLogins, type Fence } from "./fence.ts";
import { type JournalEntry, sealEntry } from "./journal.ts";
import { togetherOrAlone } from "./together.ts";

/** One key to store, or (value null) to delete. */
export type AuthKey = { kind: string; key: string; value: Buffer | null };
export type AuthWrite = {
  creds?: Buffer;
  keys?: readonly AuthKey[];
  /** What was decrypted with these keys; see `JournalEntry`. */
  journal?: readonly JournalEntry[];
};

/** Keys of this kind come hundreds at a time: from `PACK_FROM` in one write they share a row. */
const PACKED_KIND = "pre-key";
const PACK_FROM = 8;
const MAX_TRIES = 5;

/**
 * The credentials (the bytes that were written), or undefined when the number is not linked.
 * @throws FencedError when the fence is not of this epoch
 */
export async function readAuth(
  executor: Executor,
  keyring: Keyring,
  fence: Fence,
): Promise<{ creds: Buffer | undefined }> {
  const row = await firstRow(
    executor,
    sql<{ value: Buffer | null }>`
      select a.value from number_fence f
      left join auth_creds a on a.company_no = f.company_no and a.number_no = f.number_no
      where f.company_no = ${fence.companyNo} and f.number_no = ${fence.numberNo} and f.epoch = ${fence.epoch}`,
  );
  if (row === undefined) throw new FencedError(fence);
  if (row.value === null) return { creds: undefined };
  const sealer = await keyring.sealer(executor, fence.companyNo);
  return { creds: sealer.open(credsContext(fence.numberNo), row.value) };
}

/**
 * The keys of one kind that are stored, by id; ids without a key are missing from the map.
 * @throws FencedError when the fence is not of this epoch
 */
export async function readKeys(
  executor: Executor,
  keyring: Keyring,
  fence: Fence,
  kind: string,
  ids: readonly string[],
): Promise<Map<string, Buffer>> {
  const wanted = [...new Set(ids)];
  const found = await rows(
    executor,
    sql<{ key: string | null; packId: string | null; gone: string[] | null; value: Buffer | null }>`
      select null as key, null as pack_id, null::text[] as gone, null::bytea as value from number_fence
        where company_no = ${fence.companyNo} and number_no = ${fence.numberNo} and epoch = ${fence.epoch}
      union all
      select key, null, null, value from auth_keys
        where company_no = ${fence.companyNo} and number_no = ${fence.numberNo} and kind = ${kind}
          and key = any (${wanted}::text[])
      union all
      select null, pack_id, gone, value from auth_key_packs
        where company_no = ${fence.companyNo} and number_no = ${fence.numberNo} and kind = ${kind}
          and keys && ${wanted}::text[]`,
  );
  if (!found.some(({ value }) => value === null)) throw new FencedError(fence);
  const keys = new Map<string, Buffer>();
  if (found.length === 1) return keys;
  const sealer = await keyring.sealer(executor, fence.companyNo);
  for (const { key, packId, gone, value } of found) {
    if (value === null) continue;
    if (key !== null) {
      keys.set(key, sealer.open(keyContext(fence.numberNo, kind, key), value));
    } else if (packId !== null) {
      const packed = unpack(sealer.open(packContext(fence.numberNo, kind, packId), value));
      const isGone = new Set(gone);
      for (const id of wanted) {
        const bytes = packed.get(id);
        if (bytes !== undefined && !isGone.has(id)) keys.set(id, bytes);
      }
    }
  }
  return keys;
}

/**
 * Stores credentials and keys, all or nothing, in one call of one database function that holds the fence.
 * Of a key named twice the last one counts. Many pre-keys become one packed row. Deleting what is not there
 * is fine. What was decrypted is stored with the ratchet that did it, or not at all; an entry whose hash is
 * known stays as it was. `executor` may be a fenced transaction, whose commit then covers this too.
 * @throws FencedError when the fence is not of this epoch, or names a login after which another has begun;
 *   nothing was written
 */
export async function writeAuth(
  executor: Executor,
  keyring: Keyring,
  fence: Fence,
  write: AuthWrite,
): Promise<void> {
  const sealer = await keyring.sealer(executor, fence.companyNo);
  const [held] = await callWriteAuth(executor, [writeCall(fence, sealer, write, false)]);
  if (held !== true) throw new FencedError(fence);
}

/**
 * The same for many numbers at the same moment, in one statement and one commit: the way to the database costs
 * more than what is written. In the order of `writes`: true, or why this one was not written; a number whose
 * fence is not held leaves the others alone, and so does a write that Postgres refuses. Outside of transactions.
 * @throws when Postgres is away
 */
export async function writeAuths(
  executor: Executor,
  keyring: Keyring,
  writes: readonly { fence: Fence; write: AuthWrite }[],
): Promise<(true | Error)[]> {
  return togetherOrAlone(writes, async (some) => {
    const calls: RawBuilder<boolean>[] = [];
    for (const { fence, write } of some) {
      calls.push(writeCall(fence, await keyring.sealer(executor, fence.companyNo), write, false));
    }
    const held = await callWriteAuth(executor, calls);
    return some.map(({ fence }, place) => held[place] === true || new FencedError(fence));
  });
}

/** Erases credentials and all keys: after a real logout, or when a person unlinks. In a fenced transaction. */
export async function eraseAuth(tx: Tx, fence: Fence): Promise<void> {
  // What a connection of the erased credentials still writes must not bring keys back.
  await beginLogins(tx, [fence]);
  const [held] = await callWriteAuth(tx, [writeCall(fence, undefined, {}, true)]);
  if (held !== true) throw new FencedError(fence);
}

/** The call that writes, and says whether the fence was held. */
function writeCall(
  fence: Fence,
  sealer: Sealer | undefined,
  write: AuthWrite,
  isErasing: boolean,
): RawBuilder<boolean> {
  const puts: { kind: string; key: string; value: Buffer }[] = [];
  const gone: { kind: string; key: string }[] = [];
  for (const { kind, key, value } of uniqueSorted(write.keys ?? [])) {
    if (value === null) gone.push({ kind, key });
    else puts.push({ kind, key, value });
  }
  const preKeys = puts.filter(({ kind }) => kind === PACKED_KIND);
  const packed = preKeys.length >= PACK_FROM ? preKeys : [];
  const single = packed.length > 0 ? puts.filter(({ kind }) => kind !== PACKED_KIND) : puts;
  const packId = packed.length > 0 ? randomUUID() : null;
  const sealed = {
    creds:
      write.creds === undefined
        ? null
        : (sealer?.seal(credsContext(fence.numberNo), write.creds) ?? null),
    values: single.map(({ kind, key, value }) =>
      sealer?.seal(keyContext(fence.numberNo, kind, key), value),
    ),
    pack:
      packId === null
        ? null
        : (sealer?.seal(packContext(fence.numberNo, PACKED_KIND, packId), pack(packed)) ?? null),
  };
  const keyArguments = sql`${fence.companyNo}, ${fence.numberNo}, ${fence.epoch}, ${isErasing}, ${sealed.creds},
      ${single.map(({ kind }) => kind)}, ${single.map(({ key }) => key)}, ${sealed.values},
      ${gone.map(({ kind }) => kind)}, ${gone.map(({ key }) => key)},
      ${packId === null ? null : PACKED_KIND}, ${packId}, ${packed.map(({ key }) => key)}, ${sealed.pack}`;
  const journal = write.journal ?? [];
  const call =
    sealer === undefined || journal.length === 0
      ? sql`write_auth(${keyArguments})`
      : sql`write_auth_journal(${keyArguments},
          ${journal.map(({ hash }) => hash)},
          ${journal.map((entry) => sealEntry(sealer, fence.numberNo, entry))})`;
  const { companyNo, numberNo, epoch, login } = fence;
  return login === undefined
    ? sql<boolean>`${call}`
    : sql<boolean>`case when hold_login(${companyNo}, ${numberNo}, ${epoch}, ${login}) then ${call} else false end`;
}

/** In the order of the calls: whether each was made under its fence. All in one statement, one after another. */
async function callWriteAuth(
  executor: Executor,
  calls: readonly RawBuilder<boolean>[],
): Promise<boolean[]> {
  const statement = sql<{ place: number; held: boolean }>`${sql.join(
    calls.map((call, place) => sql`select ${sql.lit(place)} as place, ${call} as held`),
    sql` union all `,
  )}`;
  for (let tries = 1; ; tries += 1) {
    try {
      const held: boolean[] = [];
      for (const row of await rows(executor, statement)) held[row.place] = row.held;
      return held;
    } catch (error) {
      // Inside a transaction the whole of it must be repeated, by its caller.
      if (!isRetriable(error) || executor.isTransaction || tries >= MAX_TRIES) throw error;
    }
  }
}

/** The last entry of each key, sorted, so that two calls meet in the same order. */
function uniqueSorted(keys: readonly AuthKey[]): AuthKey[] {
  const byName = new Map(keys.map((entry) => [`${entry.kind}\0${entry.key}`, entry]));
  return [...byName.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
}
