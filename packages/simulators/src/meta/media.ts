/** Files: uploaded, resolved to an address that lives five minutes, and fetched with the token. */
import { createHash, randomBytes, randomInt } from "node:crypto";
import { GraphError } from "./errors.ts";
import { noSuchThing } from "./access.ts";

const URL_LIFE_MS = 5 * 60_000;

export type StoredFile = {
  id: string;
  phoneNumberId: string;
  wabaId: string;
  mimeType: string;
  bytes: Buffer;
};

export class MediaShelf {
  readonly files = new Map<string, StoredFile>();
  readonly #links = new Map<string, { fileId: string; until: number }>();

  add(file: Omit<StoredFile, "id">): StoredFile {
    const made = { id: String(randomInt(1e14, 2.8e14)), ...file };
    this.files.set(made.id, made);
    return made;
  }

  /** What `GET /{media_id}` answers. With `phoneNumberId` it must be that number's file. */
  resolve(id: string, phoneNumberId: string | null, origin: string): object {
    const file = this.files.get(id);
    if (!file) throw noSuchThing(id);
    if (phoneNumberId !== null && phoneNumberId !== file.phoneNumberId) throw noSuchThing(id);
    const key = randomBytes(16).toString("hex");
    this.#links.set(key, { fileId: id, until: Date.now() + URL_LIFE_MS });
    return {
      messaging_product: "whatsapp",
      url: `${origin}/whatsapp_business/attachments/${key}`,
      mime_type: file.mimeType,
      sha256: createHash("sha256").update(file.bytes).digest("hex"),
      file_size: file.bytes.length,
      id,
    };
  }

  /** The file behind an address that still lives. */
  open(key: string): StoredFile {
    const link = this.#links.get(key);
    const file = link && link.until > Date.now() ? this.files.get(link.fileId) : undefined;
    if (!file) throw new GraphError({ code: 100, httpStatus: 404, message: "URL has expired" });
    return file;
  }

  /** Makes every address that was given end now. */
  expireLinks(): void {
    this.#links.clear();
  }
}
