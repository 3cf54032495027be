/** The bytes in front of the first frame: "WA", protocol 6, dictionary 3. Also the Noise prologue. */
export const INTRO = Buffer.from([0x57, 0x41, 0x06, 0x03]);

const ROUTING_TAG = Buffer.from([0x45, 0x44, 0x00, 0x01]); // "ED" 00 01
const LENGTH_BYTES = 3;
const EMPTY = Buffer.alloc(0);

/**
 * Cuts a client's byte stream into frames. WebSocket messages and frames are independent: a frame may be
 * split over several messages, and one message may hold several frames.
 */
export class FrameReader {
  /** What the client sent as its routing prefix, if it sent one: the last `edge_routing` it was given. */
  routingInfo: Buffer | undefined;
  #buffer: Buffer = EMPTY;
  #introSeen = false;

  /** @throws when the stream does not start with the intro */
  push(data: Buffer): Buffer[] {
    this.#buffer = this.#buffer.length === 0 ? data : Buffer.concat([this.#buffer, data]);
    if (!this.#introSeen && !this.#readIntro()) return [];
    const frames: Buffer[] = [];
    while (this.#buffer.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + this.#buffer.readUIntBE(0, LENGTH_BYTES);
      if (this.#buffer.length < end) break;
      frames.push(this.#buffer.subarray(LENGTH_BYTES, end));
      this.#buffer = this.#buffer.subarray(end);
    }
    if (this.#buffer.length === 0) this.#buffer = EMPTY; // an empty view would keep the last message alive
    return frames;
  }

  #readIntro(): boolean {
    let start = 0;
    if (this.#buffer.length < ROUTING_TAG.length) return false;
    if (this.#buffer.subarray(0, ROUTING_TAG.length).equals(ROUTING_TAG)) {
      const info = ROUTING_TAG.length + LENGTH_BYTES;
      if (this.#buffer.length < info) return false;
      start = info + this.#buffer.readUIntBE(ROUTING_TAG.length, LENGTH_BYTES);
      if (this.#buffer.length < start + INTRO.length) return false;
      this.routingInfo = Buffer.from(this.#buffer.subarray(info, start));
    }
    const intro = this.#buffer.subarray(start, start + INTRO.length);
    if (!intro.equals(INTRO)) throw new Error(`unexpected intro ${intro.toString("hex")}`);
    this.#buffer = this.#buffer.subarray(start + INTRO.length);
    this.#introSeen = true;
    return true;
  }
}

export function frame(payload: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(LENGTH_BYTES + payload.length);
  out.writeUIntBE(payload.length, 0, LENGTH_BYTES);
  out.set(payload, LENGTH_BYTES);
  return out;
}
