/**
 * Many named values in one buffer: a 4-byte length, a JSON head `[[name, bytes], …]`, then the values in
 * the same order.
 */
export function pack(entries: readonly { key: string; value: Buffer }[]): Buffer {
  const head = Buffer.from(JSON.stringify(entries.map(({ key, value }) => [key, value.length])));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  return Buffer.concat([length, head, ...entries.map(({ value }) => value)]);
}

/** The values by name. Throws a RangeError or SyntaxError for bytes that `pack` did not make. */
export function unpack(bytes: Buffer): Map<string, Buffer> {
  const headEnd = 4 + bytes.readUInt32BE(0);
  const head = JSON.parse(bytes.subarray(4, headEnd).toString()) as [string, number][];
  const values = new Map<string, Buffer>();
  let at = headEnd;
  for (const [key, length] of head) {
    if (at + length > bytes.length) throw new RangeError("a pack is cut short");
    values.set(key, bytes.subarray(at, at + length));
    at += length;
  }
  return values;
}
