import { sql } from "kysely";
import type { Keyring, Sealer } from "../crypto/keyring.ts";
import { unpack } from "../crypto/pack.ts";
import { type Executor, rows } from "../open.ts";
import { credsContext, keyContext, packContext } from "./auth-contexts.ts";
import { beginLogins, type Fence } from "./fence.ts";

/**
 * What a login reads first. `fence` is the login's: write with it. `answer` of a key: its bytes; null when it is known not to be stored; undefined
 * when only `readKeys` can tell.
 */
export type PreloadedAuth = {
  fence: Fence;
  creds: Buffer | undefined;
  answer(kind: string, key: string): Buffer | null | undefined;
};

type PreloadRow = {
  numberNo: number;
  companyNo: number;
  phone: string | null;
  kekId: string;
  wrapped: Buffer;
  creds: Buffer | null;
  /** Each `[kind, key, value in hex]`. */
  keys: [string, string, string][] | null;
  packKeys: string[] | null;
  packGone: string[] | null;
  packId: string | null;
  packValue: Buffer | null;
};

/**
 * Begins logins (`beginLogins`) and reads what they need: credentials, and the keys that Baileys asks for at every login (its own device list, address mapping and
 * sessions, its token index, the newest pre-keys), of many numbers in two statements, together with their
 * companies' data keys. Numbers whose fence is not of the epoch named are missing from the answer.
 */
export async function preloadAuth(
  executor: Executor,
  keyring: Keyring,
  fences: readonly Fence[],
): Promise<Map<number, PreloadedAuth>> {
  const begun = new Map(
    (await beginLogins(executor, fences)).map((fence) => [fence.numberNo, fence]),
  );
  const found = await rows(
    executor,
    sql<PreloadRow>`
      select f.number_no, f.company_no, n.phone_e164 as phone, d.kek_id, d.wrapped, c.value as creds,
        (select json_agg(json_build_array(k.kind, k.key, encode(k.value, 'hex'))) from auth_keys k
          where k.company_no = f.company_no and k.number_no = f.number_no
            and ((k.kind in ('device-list', 'lid-mapping') and k.key = n.phone_e164)
              or (k.kind = 'tctoken' and k.key = '__index')
              or (k.kind = 'session' and k.key >= n.phone_e164 || '.' and k.key < n.phone_e164 || '/'))) as keys,
        p.pack_id, p.keys as pack_keys, p.gone as pack_gone, p.value as pack_value
      from unnest(${fences.map(({ companyNo }) => companyNo)}::int[],
        ${fences.map(({ numberNo }) => numberNo)}::int[],
        ${fences.map(({ epoch }) => epoch)}::bigint[]) as w (company_no, number_no, epoch)
      join number_fence f
        on f.company_no = w.company_no and f.number_no = w.number_no and f.epoch = w.epoch
      join numbers n on n.company_no = f.company_no and n.number_no = f.number_no
      join data_keys d on d.company_no = f.company_no
      left join auth_creds c on c.company_no = f.company_no and c.number_no = f.number_no
      left join lateral (
        select a.pack_id, a.keys, a.gone, a.value from auth_key_packs a
        where a.company_no = f.company_no and a.number_no = f.number_no and a.kind = 'pre-key'
        order by a.created_at desc limit 1) p on true`,
  );
  return new Map(
    found.flatMap((row) => {
      const fence = begun.get(row.numberNo);
      if (fence === undefined) return [];
      keyring.remember(row.companyNo, row);
      return [[row.numberNo, preloaded(row, fence, keyring.knownSealer(row.companyNo))]];
    }),
  );
}

function preloaded(row: PreloadRow, fence: Fence, sealer: Sealer): PreloadedAuth {
  const { numberNo, phone } = row;
  const stored = new Map(
    (row.keys ?? []).map(([kind, key, hex]) => [`${kind}\0${key}`, Buffer.from(hex, "hex")]),
  );
  // Opened when it is asked for, and once: a full pack holds hundreds of keys.
  let pack: Map<string, Buffer> | undefined;
  const packed = (key: string): Buffer | undefined => {
    const isIn = row.packKeys?.includes(key) === true && row.packGone?.includes(key) !== true;
    if (!isIn || row.packId === null || row.packValue === null) return undefined;
    pack ??= unpack(sealer.open(packContext(numberNo, "pre-key", row.packId), row.packValue));
    return pack.get(key);
  };
  const isCovered = (kind: string, key: string): boolean =>
    phone !== null &&
    (((kind === "device-list" || kind === "lid-mapping") && key === phone) ||
      (kind === "tctoken" && key === "__index") ||
      (kind === "session" && key.startsWith(`${phone}.`)));
  return {
    fence,
    creds: row.creds === null ? undefined : sealer.open(credsContext(numberNo), row.creds),
    answer: (kind, key) => {
      if (kind === "pre-key") return packed(key);
      const value = stored.get(`${kind}\0${key}`);
      if (value) return sealer.open(keyContext(numberNo, kind, key), value);
      return isCovered(kind, key) ? null : undefined;
    },
  };
}
