/** Files that are to be sent: fetched or uploaded, looked at, and stored before anything is queued. */
import { ManylineError, SEND_BYTES, SEND_MIME, newMediaId } from "@manyline/contracts";
import type { FileKind } from "@manyline/contracts";
import type { MediaRow, StoredMedia } from "@manyline/db";
import { MediaStoreError, MediaTooLarge } from "@manyline/media";
import type { Content, MediaStore } from "@manyline/media";
import { FetchRefused, guardedGet } from "@manyline/runtime";
import type { AddressGuard, FetchRefusal } from "@manyline/runtime";
import { SNIFFED_BYTES, plainType, sniff } from "./sniff.ts";

/** A file in the store, without the number it is for. Its row is inserted with the message. */
export type ReadyFile = Omit<StoredMedia, "companyNo" | "numberNo" | "bytes" | "sha256"> & {
  bytes: number;
  sha256: string;
};

export type FileWish = {
  readonly url: string;
  readonly kind: FileKind;
  readonly mimeType: string | undefined;
  readonly fileName: string | undefined;
};

const FETCH_MS = 30_000;
/** Files that one process takes in at a time: of all companies, and of one. */
const MOST_AT_ONCE = { all: 64, company: 8 };
const BUSY_SECONDS = 5;
/** The largest file that can be uploaded. */
export const UPLOAD_BYTES = Math.max(...Object.values(SEND_BYTES));

const REFUSALS: Readonly<Record<FetchRefusal, string>> = {
  bad_url: "The address cannot be fetched.",
  address: "The address leads to a private network.",
  unreachable: "The server cannot be reached.",
  timeout: "The server took too long.",
  redirects: "The address leads in circles, or nowhere.",
  status: "The server did not answer with the file.",
  encoding: "The server sent the file compressed, though it was not asked to.",
  too_large: "The file is too large.",
};

/** Takes files in; nothing is left in the store when one is refused. */
export class MediaIntake {
  readonly #store: MediaStore;
  readonly #guard: AddressGuard;
  readonly #running = new Map<number, number>();

  constructor(store: MediaStore, guard: AddressGuard) {
    this.#store = store;
    this.#guard = guard;
  }

  /** Throws MEDIA_REFUSED with a `reason`; TOO_MANY_REQUESTS; UNAVAILABLE when the store is away. */
  async fetch(companyNo: number, wish: FileWish): Promise<ReadyFile> {
    return this.#taking(companyNo, async () => {
      const answer = await guardedGet(wish.url, { guard: this.#guard, timeoutMs: FETCH_MS });
      try {
        const maxBytes = SEND_BYTES[wish.kind];
        if ((answer.contentLength ?? 0) > maxBytes) throw new MediaTooLarge(maxBytes);
        const told = plainType(wish.mimeType) ?? plainType(answer.contentType);
        return await this.#keep(companyNo, answer.body, {
          kind: wish.kind,
          maxBytes,
          fileName: wish.fileName ?? (wish.kind === "document" ? nameIn(wish.url) : null),
          typeOf: (head) => sendableType(wish.kind, head, told),
        });
      } finally {
        answer.body.destroy();
      }
    });
  }

  /** A file of any kind; whether it fits is judged when it is sent. Throws PAYLOAD_TOO_LARGE and as `fetch`. */
  async upload(
    companyNo: number,
    content: Content,
    file: { contentType: string | undefined; fileName: string | null },
  ): Promise<ReadyFile> {
    return this.#taking(companyNo, async () => {
      try {
        return await this.#keep(companyNo, content, {
          kind: "upload",
          maxBytes: UPLOAD_BYTES,
          fileName: file.fileName,
          typeOf: (head) => sniff(head) ?? unprovable(plainType(file.contentType)),
        });
      } catch (error) {
        throw error instanceof MediaTooLarge ? uploadTooLarge() : error;
      }
    });
  }

  /** For a file whose message was not queued. A file that stays behind goes when it is old. */
  async drop({ location }: ReadyFile): Promise<void> {
    await this.#store.remove(location).catch(() => undefined);
  }

  async #keep(
    companyNo: number,
    content: Content,
    how: {
      kind: string;
      maxBytes: number;
      fileName: string | null;
      typeOf: (head: Uint8Array) => string;
    },
  ): Promise<ReadyFile> {
    const mediaId = newMediaId();
    const { kind, maxBytes, fileName } = how;
    let mimeType = "";
    const looked = lookedAt(content, (head) => {
      mimeType = how.typeOf(head);
    });
    const stored = await this.#store.put({ companyNo, mediaId }, looked, { maxBytes });
    return { ...stored, mediaId, kind, mimeType, fileName };
  }

  async #taking(companyNo: number, take: () => Promise<ReadyFile>): Promise<ReadyFile> {
    const own = this.#running.get(companyNo) ?? 0;
    const all = [...this.#running.values()].reduce((sum, count) => sum + count, 0);
    if (own >= MOST_AT_ONCE.company || all >= MOST_AT_ONCE.all) {
      throw new ManylineError("TOO_MANY_REQUESTS", {
        retryAfterSeconds: BUSY_SECONDS,
        detail: "Too many files are being taken in at this moment.",
      });
    }
    this.#running.set(companyNo, own + 1);
    try {
      return await take();
    } catch (error) {
      throw translated(error);
    } finally {
      const left = (this.#running.get(companyNo) ?? 1) - 1;
      if (left > 0) this.#running.set(companyNo, left);
      else this.#running.delete(companyNo);
    }
  }
}

export function uploadTooLarge(): ManylineError {
  const detail = `A file is at most ${UPLOAD_BYTES} bytes.`;
  return new ManylineError("PAYLOAD_TOO_LARGE", { maxBytes: UPLOAD_BYTES, detail });
}

/** Whether a stored file can be sent as this kind. Throws MEDIA_NOT_FOUND, MEDIA_NOT_READY, MEDIA_REFUSED. */
export function assertSendable(row: MediaRow, kind: FileKind): void {
  if (row.state === "gone") throw new ManylineError("MEDIA_NOT_FOUND");
  if (row.state === "remote") {
    const detail = "Fetch it first with GET …/media/:mediaId.";
    throw new ManylineError("MEDIA_NOT_READY", { detail });
  }
  if (!SEND_MIME[kind].test(row.mimeType)) throw wrongType(kind, row.mimeType);
  if ((row.bytes ?? 0) > SEND_BYTES[kind]) throw tooLarge(SEND_BYTES[kind]);
  if (row.bytes === 0) throw empty();
}

/** A document may be anything; of the rest the bytes decide, whatever a server says. */
function sendableType(kind: FileKind, head: Uint8Array, told: string | undefined): string {
  if (head.byteLength === 0) throw empty();
  const found = sniff(head);
  if (kind === "document") return told ?? found ?? "application/octet-stream";
  if (found === undefined || !SEND_MIME[kind].test(found)) throw wrongType(kind, found ?? told);
  return found;
}

/** What the sender calls a file that nothing shows in its bytes. A picture, video or sound would show. */
function unprovable(told: string | undefined): string {
  const { document: _anything, ...shown } = SEND_MIME;
  const wouldShow = Object.values(shown).some((types) => told !== undefined && types.test(told));
  return told === undefined || wouldShow ? "application/octet-stream" : told;
}

/** Hands the first bytes to `look` before anything else is read; what that throws ends it all. */
async function* lookedAt(
  content: Content,
  look: (head: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of content) {
    if (head === undefined) {
      yield chunk;
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.byteLength < SNIFFED_BYTES) continue;
    look(head);
    yield head;
    head = undefined;
  }
  if (head === undefined) return;
  look(head);
  yield head;
}

function translated(error: unknown): unknown {
  if (error instanceof FetchRefused) {
    const { reason, status } = error;
    const facts = { reason, detail: REFUSALS[reason], ...(status ? { answered: status } : {}) };
    return new ManylineError("MEDIA_REFUSED", facts, { cause: error });
  }
  if (error instanceof MediaTooLarge) return tooLarge(error.maxBytes);
  if (error instanceof MediaStoreError)
    return new ManylineError("UNAVAILABLE", {}, { cause: error });
  if (error instanceof ManylineError) return error;
  const isBroken = error instanceof Error && "code" in error && BROKEN_OFF.has(String(error.code));
  return isBroken ? translated(new FetchRefused("unreachable", { cause: error })) : error;
}

/** The other side broke off, in the middle or before anybody read. */
const BROKEN_OFF: ReadonlySet<string> = new Set(["ECONNRESET", "ERR_STREAM_PREMATURE_CLOSE"]);

function tooLarge(maxBytes: number): ManylineError {
  const detail = `A file of this kind is at most ${maxBytes} bytes.`;
  return new ManylineError("MEDIA_REFUSED", { reason: "too_large", maxBytes, detail });
}

const EXPECTED: Readonly<Record<FileKind, string>> = {
  image: "A picture is JPEG, PNG or WebP.",
  sticker: "A sticker is WebP.",
  voice: "A voice message is Opus in an Ogg file.",
  audio: "A sound is Ogg, Opus, MP3, MP4, AAC, AMR or WAV.",
  video: "A video is MP4, 3GP or QuickTime.",
  document: "A document may be anything that has a media type.",
};

function wrongType(kind: FileKind, found: string | undefined): ManylineError {
  const detail = `This is ${found ?? "nothing known"}, which cannot be sent as ${kind}. ${EXPECTED[kind]}`;
  return new ManylineError("MEDIA_REFUSED", { reason: "wrong_type", detail });
}

function empty(): ManylineError {
  return new ManylineError("MEDIA_REFUSED", { reason: "empty", detail: "The file is empty." });
}

/** The last part of the path, as a person would save it. */
function nameIn(url: string): string | null {
  const last = URL.parse(url)?.pathname.split("/").at(-1) ?? "";
  try {
    return (
      decodeURIComponent(last)
        .replaceAll(/[\p{Cc}\p{Cs}/\\]/gu, "")
        .slice(0, 255) || null
    );
  } catch {
    return null;
  }
}
