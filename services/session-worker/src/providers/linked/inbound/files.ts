/**
 * Fetches a file from WhatsApp and decrypts it. Its address comes from whoever wrote the message: only WhatsApp's
 * own servers are asked, or the simulator's.
 */
import { downloadContentFromMessage } from "@whiskeysockets/baileys";
import { FileGoneError } from "../../provider.ts";
import type { MediaSource } from "./media.ts";

/** What a server says of a file that it does not have. */
const GONE: ReadonlySet<number> = new Set([403, 404, 410]);

/** `server`: the simulator; undefined: the real WhatsApp. */
export async function fetchFile(
  packed: Buffer,
  server: string | undefined,
): Promise<AsyncIterable<Uint8Array>> {
  const source = JSON.parse(packed.toString()) as MediaSource;
  const { kind } = source;
  const directPath = server === undefined && isPath(source.directPath) ? source.directPath : null;
  const url = isAllowed(source.url, server) ? source.url : null;
  if (url === null && directPath === null) {
    throw new FileGoneError("the file is not at WhatsApp");
  }
  const mediaKey = Buffer.from(source.mediaKey, "base64");
  try {
    return await downloadContentFromMessage({ mediaKey, directPath, url }, kind);
  } catch (error) {
    if (GONE.has(statusOf(error))) throw new FileGoneError("WhatsApp does not have the file");
    throw error;
  }
}

/** The library puts it behind the name of a host: anything else could become another host. */
function isPath(text: string | null): boolean {
  return text !== null && text.startsWith("/");
}

function isAllowed(address: string | null, server: string | undefined): boolean {
  const url = address === null ? null : URL.parse(address);
  if (!url) return false;
  if (server !== undefined) return url.host === URL.parse(server)?.host;
  return url.protocol === "https:" && /(^|\.)whatsapp\.net$/.test(url.hostname);
}

function statusOf(error: unknown): number {
  if (typeof error !== "object" || error === null || !("output" in error)) return 0;
  const { output } = error;
  return typeof output === "object" && output !== null && "statusCode" in output
    ? Number(output.statusCode)
    : 0;
}
