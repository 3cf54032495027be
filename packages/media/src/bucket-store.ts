import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { EMPTY_HASH, signedHeaders } from "./sign.ts";
import type { Credentials } from "./sign.ts";
import { spool } from "./spool.ts";
import { MediaStoreError, checkLocation, locationOf } from "./store.ts";
import type { Content, MediaKey, MediaStore, OpenMedia, StoredMedia } from "./store.ts";

export type Bucket = Credentials & {
  /** `https://host[:port]` */
  readonly endpoint: string;
  readonly bucket: string;
  /** In front of every key; may be empty. */
  readonly prefix: string;
};

/** Silence after which the bucket is given up. */
const IDLE_MS = 30_000;

/** A bucket that speaks S3, addressed by path. What is uploaded is spooled on the disk first, to be hashed. */
export class BucketStore implements MediaStore {
  readonly #bucket: Bucket;

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  async put(
    key: MediaKey,
    content: Content,
    { maxBytes }: { maxBytes: number },
  ): Promise<StoredMedia> {
    const location = locationOf(key);
    const path = join(tmpdir(), `manyline-${randomUUID()}`);
    try {
      const { bytes, sha256 } = await spool(path, content, maxBytes);
      const answer = await this.#ask("PUT", location, { path, bytes, sha256 });
      answer.resume();
      if (answer.statusCode !== 200) throw refused("PUT", answer);
      return { location, bytes, sha256: sha256.toString("base64") };
    } finally {
      await rm(path, { force: true });
    }
  }

  async open(location: string): Promise<OpenMedia | undefined> {
    const answer = await this.#ask("GET", checkLocation(location));
    const bytes = Number(answer.headers["content-length"] ?? Number.NaN);
    if (answer.statusCode === 200 && Number.isInteger(bytes)) return { bytes, stream: answer };
    answer.resume();
    if (answer.statusCode === 404) return undefined;
    throw refused("GET", answer);
  }

  async remove(location: string): Promise<void> {
    const answer = await this.#ask("DELETE", checkLocation(location));
    answer.resume();
    if (answer.statusCode !== 204 && answer.statusCode !== 200 && answer.statusCode !== 404) {
      throw refused("DELETE", answer);
    }
  }

  removeOlder(): Promise<number> {
    return Promise.resolve(0);
  }

  async #ask(
    method: "PUT" | "GET" | "DELETE",
    location: string,
    file?: { path: string; bytes: number; sha256: Buffer },
  ): Promise<http.IncomingMessage> {
    const { endpoint, bucket, prefix } = this.#bucket;
    const url = new URL(
      [endpoint, bucket, prefix, location].filter((part) => part !== "").join("/"),
    );
    const bodyHash = file?.sha256 ?? EMPTY_HASH;
    const headers = {
      ...signedHeaders({ method, url, bodyHash, at: new Date() }, this.#bucket),
      ...(file ? { "content-length": String(file.bytes) } : {}),
    };
    const { request } = url.protocol === "https:" ? https : http;
    const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
    const asked = request(url, { method, headers, timeout: IDLE_MS }, resolve)
      .once("error", (cause) => reject(new MediaStoreError("the bucket is away", { cause })))
      .once("timeout", () => asked.destroy(new Error("no answer")));
    if (!file) asked.end();
    // A failure of the request is told by its own event.
    else void pipeline(createReadStream(file.path), asked).catch(() => undefined);
    return promise;
  }
}

function refused(method: string, { statusCode }: http.IncomingMessage): MediaStoreError {
  return new MediaStoreError(`the bucket answered ${method} with ${String(statusCode)}`);
}
