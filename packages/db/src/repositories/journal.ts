import { sql } from "kysely";
import type { Keyring, Sealer } from "../crypto/keyring.ts";
import { pack, unpack } from "../crypto/pack.ts";
import { CryptoError, FencedError } from "../errors.ts";
import { type Executor, rows } from "../open.ts";
import { journalContext } from "./auth-contexts.ts";
import type { Fence } from "./fence.ts";

/**
 * A stanza that was decrypted. `hash`: sha256 of sender, id, kind and ciphertext (32 bytes). `attrs`: the
 * stanza's attributes, without which nobody knows who wrote it. Stored sealed.
 */
export type JournalEntry = { hash: Buffer; attrs: Record<string, string>; plaintext: Buffer };

/**
 * `content` is undefined when there is nothing left to tell: the message is committed and its plaintext erased,
 * or the entry cannot be read (`openJournal` says so).
 */
export type KnownEntry = {
  content: { attrs: Record<string, string>; plaintext: Buffer } | undefined;
};

export type OpenEntry = JournalEntry & { receivedAt: Date };

/** Bytes that were damaged, or are of a form this version does not know. */
export type UnreadableEntry = { hash: Buffer; error: unknown };

export function sealEntry(sealer: Sealer, numberNo: number, entry: JournalEntry): Buffer {
  const { hash, attrs, plaintext } = entry;
  const parts = [
    { key: "attrs", value: Buffer.from(JSON.stringify(attrs)) },
    { key: "plaintext", value: plaintext },
  ];
  return sealer.seal(journalContext(numberNo, hash), pack(parts));
}

function openEntry(
  sealer: Sealer,
  numberNo: number,
  hash: Buffer,
  value: Buffer,
): { attrs: Record<string, string>; plaintext: Buffer } {
  const parts = unpack(sealer.open(journalContext(numberNo, hash), value));
  const attrs = parts.get("attrs");
  const plaintext = parts.get("plaintext");
  if (!attrs || !plaintext) throw new CryptoError("an entry of the journal is not whole");
  return { attrs: JSON.parse(attrs.toString()) as Record<string, string>, plaintext };
}

function tryOpen(
  ...entry: Parameters<typeof openEntry>
): ReturnType<typeof openEntry> | { error: unknown } {
  try {
    return openEntry(...entry);
  } catch (error) {
    return { error };
  }
}

/**
 * What was decrypted before, by hash in hex: a stanza that is delivered again (after a crash, or because its
 * receipt was lost) must not be decrypted again. Hashes nobody knows are missing from the map.
 * @throws FencedError when the fence is not of this epoch
 */
export async function findJournal(
  executor: Executor,
  keyring: Keyring,
  fence: Fence,
  hashes: readonly Buffer[],
): Promise<Map<string, KnownEntry>> {
  const { companyNo, numberNo } = fence;
  const found = await readUnderFence<{ hash: Buffer | null; value: Buffer | null }>(
    executor,
    fence,
    sql`select j.hash, j.value from fence f left join inbound_journal j
      on j.company_no = f.company_no and j.number_no = f.number_no and j.hash = any (${hashes}::bytea[])`,
  );
  const known = new Map<string, KnownEntry>();
  const sealer = found.some(({ value }) => value !== null)
    ? await keyring.sealer(executor, companyNo)
    : undefined;
  for (const { hash, value } of found) {
    if (hash === null) continue;
    const content = value === null || !sealer ? undefined : tryOpen(sealer, numberNo, hash, value);
    known.set(hash.toString("hex"), {
      content: content && "attrs" in content ? content : undefined,
    });
  }
  return known;
}

/**
 * What was decrypted and is not committed, oldest first: to be committed at the start, before anything new.
 * One that cannot be read does not hold up the others. `limit` counts both.
 * @throws FencedError when the fence is not of this epoch
 */
export async function openJournal(
  executor: Executor,
  keyring: Keyring,
  fence: Fence,
  limit: number,
): Promise<{ entries: OpenEntry[]; unreadable: UnreadableEntry[] }> {
  const { companyNo, numberNo } = fence;
  type Row = { hash: Buffer | null; value: Buffer | null; receivedAt: Date };
  const found = await readUnderFence<Row>(
    executor,
    fence,
    sql`select j.hash, j.value, j.received_at from fence f left join lateral (
        select o.entry_no, o.hash, o.value, o.received_at from inbound_journal o
        where o.company_no = f.company_no and o.number_no = f.number_no and o.done_at is null
        order by o.entry_no limit ${limit}) j on true
      order by j.entry_no`,
  );
  const sealer = await keyring.sealer(executor, companyNo);
  const entries: OpenEntry[] = [];
  const unreadable: UnreadableEntry[] = [];
  for (const { hash, value, receivedAt } of found) {
    if (hash === null || value === null) continue;
    const opened = tryOpen(sealer, numberNo, hash, value);
    if ("attrs" in opened) entries.push({ hash, receivedAt, ...opened });
    else unreadable.push({ hash, error: opened.error });
  }
  return { entries, unreadable };
}

/** `query` reads from `fence` with an outer join: no row at all means that the fence is another's. */
async function readUnderFence<Row>(
  executor: Executor,
  fence: Fence,
  query: ReturnType<typeof sql>,
): Promise<Row[]> {
  const found = await rows(
    executor,
    sql<Row>`with fence as (
        select company_no, number_no from number_fence
        where company_no = ${fence.companyNo} and number_no = ${fence.numberNo} and epoch = ${fence.epoch}
      ) ${query}`,
  );
  if (found.length === 0) throw new FencedError(fence);
  return found;
}
