import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import { sql } from "kysely";
import { CryptoError } from "../errors.ts";
import { changed, type Executor, firstRow, rows } from "../open.ts";

/** A key-encryption key: wraps the companies' data keys. 32 bytes from a file or a key service. */
export type Kek = { id: string; key: Buffer };

export type KeyringOptions = {
  /** The first one wraps; the others can still unwrap, until `rotateKek` has run. */
  keks: Kek[];
  /** Data keys kept in memory at most; default 20,000 (about 200 bytes each). */
  cache?: number;
};

/** What a value belongs to. It is authenticated: moved to another place, the value does not open. */
export type SealContext = { numberNo: number | null; kind: string; key: string };

export type Sealer = {
  seal: (context: SealContext, plain: Buffer) => Buffer;
  /** Throws CryptoError for anything that was not sealed for this very company and context. */
  open: (context: SealContext, sealed: Buffer) => Buffer;
};

const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Reads `id:base64[,id2:base64]`. Refuses what would only look like protection: a missing, short or
 * all-equal key. Error messages name ids, never keys.
 */
export function parseKeks(text: string | undefined): Kek[] {
  const parts = (text ?? "").split(",").filter((part) => part.trim() !== "");
  if (parts.length === 0) throw new CryptoError("no key-encryption key is given");
  const keks = parts.map((part) => {
    const [id = "", ...rest] = part.trim().split(":");
    if (!/^[A-Za-z0-9_.-]{1,40}$/.test(id)) throw new CryptoError("a key-encryption key has no id");
    return { id, key: Buffer.from(rest.join(":"), "base64") };
  });
  assertKeks(keks);
  return keks;
}

function assertKeks(keks: Kek[]): void {
  if (keks.length === 0) throw new CryptoError("no key-encryption key is given");
  for (const { id, key } of keks) {
    if (key.length !== 32) throw new CryptoError(`key-encryption key ${id} must have 32 bytes`);
    if (key.every((byte) => byte === key[0])) {
      throw new CryptoError(`key-encryption key ${id} is not random`);
    }
  }
  if (new Set(keks.map(({ id }) => id)).size < keks.length) {
    throw new CryptoError("two key-encryption keys have the same id");
  }
}

/** AES-256-GCM: version (1 byte), nonce (12, random for each value), ciphertext, tag (16). */
function encrypt(key: KeyObject, aad: string, plain: Buffer): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(Buffer.from(aad));
  return Buffer.concat([
    Buffer.of(VERSION),
    nonce,
    cipher.update(plain),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
}

function decrypt(key: KeyObject, aad: string, sealed: Buffer): Buffer {
  if (sealed[0] !== VERSION || sealed.length < 1 + NONCE_BYTES + TAG_BYTES) {
    throw new CryptoError("this is not a sealed value");
  }
  const body = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(1, 1 + NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(Buffer.from(aad));
  decipher.setAuthTag(sealed.subarray(body));
  try {
    return Buffer.concat([
      decipher.update(sealed.subarray(1 + NONCE_BYTES, body)),
      decipher.final(),
    ]);
  } catch (cause) {
    throw new CryptoError("a sealed value does not belong here, or was changed", { cause });
  }
}

/** `kind` must not hold the separator, or two contexts could read the same. */
function aadOf(companyNo: number, { numberNo, kind, key }: SealContext): string {
  if (kind.includes("/")) throw new TypeError(`a kind must not contain "/": ${kind}`);
  return `v${VERSION}/${companyNo}/${numberNo ?? 0}/${kind}/${key}`;
}

const wrapAad = (companyNo: number, kekId: string): string =>
  aadOf(companyNo, { numberNo: null, kind: "data-key", key: kekId });

function sealerWith(key: KeyObject, companyNo: number): Sealer {
  return {
    seal: (context, plain) => encrypt(key, aadOf(companyNo, context), plain),
    open: (context, sealed) => decrypt(key, aadOf(companyNo, context), sealed),
  };
}

/** The companies' data keys: made, unwrapped and kept for a while. One per process. */
export class Keyring {
  /** Secret for hashing what must be comparable but not readable (`hashPhone`). */
  readonly pepper: Buffer;
  readonly #keks: Map<string, KeyObject>;
  readonly #currentId: string;
  readonly #cacheSize: number;
  /** Oldest first: reading moves a key to the end. */
  readonly #dataKeys = new Map<number, KeyObject>();

  constructor(options: KeyringOptions) {
    assertKeks(options.keks);
    this.#keks = new Map(options.keks.map(({ id, key }) => [id, createSecretKey(key)]));
    const [current] = options.keks;
    if (current === undefined) throw new CryptoError("no key-encryption key is given");
    this.#currentId = current.id;
    this.#cacheSize = options.cache ?? 20_000;
    this.pepper = Buffer.from(hkdfSync("sha256", current.key, "", "manyline/phone-hash", 32));
  }

  /**
   * Makes the data key of a new company. It is not cached: a transaction that rolls back gives its
   * company_no to the next company, which gets another key.
   */
  newWrappedKey(companyNo: number): { kekId: string; wrapped: Buffer } {
    return this.#wrap(companyNo, randomBytes(32));
  }

  /** Seals and opens values of one company. One query for a company not met before, then none. */
  async sealer(executor: Executor, companyNo: number): Promise<Sealer> {
    return sealerWith(await this.#dataKey(executor, companyNo), companyNo);
  }

  /** Takes note of a company's data key that a query brought along. */
  remember(companyNo: number, row: { kekId: string; wrapped: Buffer }): void {
    this.#keep(
      companyNo,
      this.#dataKeys.get(companyNo) ??
        createSecretKey(this.#unwrap(companyNo, row.kekId, row.wrapped)),
    );
  }

  /** Like `sealer`, of a company that was just remembered. */
  knownSealer(companyNo: number): Sealer {
    const key = this.#dataKeys.get(companyNo);
    if (key === undefined)
      throw new CryptoError(`the data key of company ${companyNo} is not here`);
    return sealerWith(key, companyNo);
  }

  /** Re-wraps a data key with the current key-encryption key. */
  rewrap(companyNo: number, kekId: string, wrapped: Buffer): { kekId: string; wrapped: Buffer } {
    return this.#wrap(companyNo, this.#unwrap(companyNo, kekId, wrapped));
  }

  get currentKekId(): string {
    return this.#currentId;
  }

  #wrap(companyNo: number, dataKey: Buffer): { kekId: string; wrapped: Buffer } {
    const kekId = this.#currentId;
    return { kekId, wrapped: encrypt(this.#kek(kekId), wrapAad(companyNo, kekId), dataKey) };
  }

  #unwrap(companyNo: number, kekId: string, wrapped: Buffer): Buffer {
    return decrypt(this.#kek(kekId), wrapAad(companyNo, kekId), wrapped);
  }

  #kek(id: string): KeyObject {
    const key = this.#keks.get(id);
    if (key === undefined) throw new CryptoError(`key-encryption key ${id} is not configured`);
    return key;
  }

  async #dataKey(executor: Executor, companyNo: number): Promise<KeyObject> {
    let key = this.#dataKeys.get(companyNo);
    if (key === undefined) {
      const row = await firstRow(
        executor,
        sql<{ kekId: string; wrapped: Buffer }>`
          select kek_id, wrapped from data_keys where company_no = ${companyNo}`,
      );
      if (row === undefined) throw new CryptoError(`company ${companyNo} has no data key`);
      key = createSecretKey(this.#unwrap(companyNo, row.kekId, row.wrapped));
    }
    this.#keep(companyNo, key);
    return key;
  }

  #keep(companyNo: number, key: KeyObject): void {
    this.#dataKeys.delete(companyNo);
    this.#dataKeys.set(companyNo, key);
    if (this.#dataKeys.size > this.#cacheSize) {
      const [oldest] = this.#dataKeys.keys();
      if (oldest !== undefined) this.#dataKeys.delete(oldest);
    }
  }
}

export function createKeyring(options: KeyringOptions): Keyring {
  return new Keyring(options);
}

/**
 * Re-wraps all data keys with the first key-encryption key, 200 at a time; values stay as they are. It can
 * be stopped and run again, and beside a running system, as long as every process knows both keys.
 * Role platform. Returns how many were re-wrapped.
 */
export async function rotateKek(executor: Executor, keyring: Keyring): Promise<number> {
  let count = 0;
  for (;;) {
    const old = await rows(
      executor,
      sql<{ companyNo: number; kekId: string; wrapped: Buffer }>`
        select company_no, kek_id, wrapped from data_keys
        where kek_id <> ${keyring.currentKekId} order by company_no limit 200`,
    );
    if (old.length === 0) return count;
    const renewed = old.map((row) => keyring.rewrap(row.companyNo, row.kekId, row.wrapped));
    count += await changed(
      executor,
      sql`update data_keys d
        set kek_id = ${keyring.currentKekId}, wrapped = n.wrapped, wrapped_at = clock_timestamp()
        from unnest(${old.map((row) => row.companyNo)}::int[], ${old.map((row) => row.kekId)}::text[],
          ${renewed.map((row) => row.wrapped)}::bytea[]) as n (company_no, old_kek, wrapped)
        where d.company_no = n.company_no and d.kek_id = n.old_kek`,
    );
  }
}

/** A phone as it is counted across companies: comparable, not readable. `pepper` is the keyring's. */
export function hashPhone(phone: string, pepper: Buffer): Buffer {
  return createHmac("sha256", pepper).update(phone).digest();
}
