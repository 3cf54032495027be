const ID_BYTES = 3;
const ENTRY_BYTES = ID_BYTES + 32;

export type PreKey = { id: number; value: Buffer };
export type SignedPreKey = PreKey & { signature: Buffer };

/** One-time keys, packed as 3 bytes id and 32 bytes key: the 812 of a device as objects would cost 250 KB. */
export class PreKeyPool {
  #packed: Buffer;

  /** @throws when the length is no multiple of an entry */
  constructor(packed: Buffer = Buffer.alloc(0)) {
    if (packed.length % ENTRY_BYTES !== 0) throw new Error("packed pre-keys have a broken entry");
    this.#packed = packed;
  }

  get size(): number {
    return this.#packed.length / ENTRY_BYTES;
  }

  get packed(): Buffer {
    return this.#packed;
  }

  add(entries: PreKey[]): void {
    const parts = entries.map(({ id, value }) => {
      const entry = Buffer.alloc(ENTRY_BYTES);
      entry.writeUIntBE(id, 0, ID_BYTES);
      value.copy(entry, ID_BYTES);
      return entry;
    });
    this.#packed = Buffer.concat([this.#packed, ...parts]);
  }

  /** Takes the oldest key: each is handed out once. */
  take(): PreKey | undefined {
    if (this.size === 0) return undefined;
    const key = {
      id: this.#packed.readUIntBE(0, ID_BYTES),
      value: Buffer.from(this.#packed.subarray(ID_BYTES, ENTRY_BYTES)),
    };
    this.#packed = this.#packed.subarray(ENTRY_BYTES);
    return key;
  }
}
