/**
 * Arrays as Postgres takes them in binary. As text each element is escaped here and read character by character there,
 * which for hundreds of long ones costs more than what is done with them. The place in the statement says the type,
 * e.g. `${texts(names)}::text[]`.
 */
const OIDS = { bytea: 17, int8: 20, int4: 23, text: 25 } as const;
const HEAD_BYTES = 12;
const DIMENSION_BYTES = 8;
const LENGTH_BYTES = 4;
const NULL_LENGTH = -1;

/** `size`: of one element; `write` puts it at that place. */
type Kind<T> = {
  oid: number;
  size: (value: T) => number;
  write: (bytes: Buffer, value: T, at: number) => void;
};

const TEXT: Kind<string> = {
  oid: OIDS.text,
  size: (value) => Buffer.byteLength(value),
  write: (bytes, value, at) => bytes.write(value, at),
};
const BYTEA: Kind<Uint8Array> = {
  oid: OIDS.bytea,
  size: (value) => value.length,
  write: (bytes, value, at) => bytes.set(value, at),
};
const INT4: Kind<number> = {
  oid: OIDS.int4,
  size: () => 4,
  write: (bytes, value, at) => bytes.writeInt32BE(value, at),
};
const INT8: Kind<number> = {
  oid: OIDS.int8,
  size: () => 8,
  write: (bytes, value, at) => {
    // Two halves: a bigint of each number would cost more. `>>> 0` is the rest by 2^32, never negative.
    bytes.writeInt32BE(Math.floor(value / 2 ** 32), at);
    bytes.writeUInt32BE(value >>> 0, at + 4);
  },
};

/** As `text[]`. */
export const texts = (values: readonly (string | null)[]): Buffer => arrayOf(TEXT, values);
/** As `bytea[]`. */
export const byteas = (values: readonly (Uint8Array | null)[]): Buffer => arrayOf(BYTEA, values);
/** As `int[]`. @throws RangeError for what is no int4 */
export const ints = (values: readonly (number | null)[]): Buffer => arrayOf(INT4, values);
/** As `bigint[]`, of safe integers. */
export const bigints = (values: readonly (number | null)[]): Buffer => arrayOf(INT8, values);

function arrayOf<T>(kind: Kind<T>, values: readonly (T | null)[]): Buffer {
  const sizes = values.map((value) => (value === null ? NULL_LENGTH : kind.size(value)));
  const dimensions = values.length === 0 ? 0 : 1;
  let total = HEAD_BYTES + dimensions * DIMENSION_BYTES;
  for (const size of sizes) total += LENGTH_BYTES + Math.max(0, size);
  const bytes = Buffer.allocUnsafe(total);
  let at = bytes.writeInt32BE(dimensions, 0);
  at = bytes.writeInt32BE(sizes.includes(NULL_LENGTH) ? 1 : 0, at);
  at = bytes.writeInt32BE(kind.oid, at);
  if (dimensions === 0) return bytes;
  at = bytes.writeInt32BE(values.length, at);
  at = bytes.writeInt32BE(1, at);
  for (const [place, value] of values.entries()) {
    const size = sizes[place] ?? NULL_LENGTH;
    at = bytes.writeInt32BE(size, at);
    if (value === null) continue;
    kind.write(bytes, value, at);
    at += size;
  }
  return bytes;
}
