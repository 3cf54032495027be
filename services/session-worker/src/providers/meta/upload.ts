/** A file on its way to Meta: read and sent bit by bit, as a form of several parts. */
import { randomUUID } from "node:crypto";
import { type Graph, GraphSilence, type GraphStream } from "./graph.ts";
import type { MetaPlace } from "./store.ts";

const UPLOAD_MS = 120_000;

/** The id that Meta gives the file. Throws GraphRefusal or GraphSilence. */
export async function uploadFile(
  graph: Graph,
  place: MetaPlace,
  about: { mimeType?: string; fileName?: string | null; bytes?: number | null },
  file: AsyncIterable<Uint8Array>,
): Promise<string> {
  const { mimeType = "application/octet-stream", fileName, bytes } = about;
  const stream = formOf(file, {
    mimeType,
    fileName: fileName ?? "file",
    bytes: bytes ?? undefined,
  });
  const path = `${place.phoneNumberId}/media`;
  const { id } = await graph.call("POST", path, place, { stream }, UPLOAD_MS);
  if (typeof id !== "string") throw new GraphSilence("an upload without an id");
  return id;
}

/** `bytes` undefined: nobody knows how long the file is. */
export function formOf(
  file: AsyncIterable<Uint8Array>,
  about: { mimeType: string; fileName: string; bytes: number | undefined },
): GraphStream {
  const boundary = `manyline-${randomUUID()}`;
  const field = (name: string, value: string): string =>
    `--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  const mimeType = about.mimeType.replaceAll(/[^\x20-\x7e]/g, "");
  const head = Buffer.from(
    [
      field("messaging_product", "whatsapp"),
      field("type", mimeType),
      `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="${quoted(about.fileName)}"\r\n`,
      `content-type: ${mimeType}\r\n\r\n`,
    ].join(""),
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    bytes: about.bytes === undefined ? undefined : head.length + about.bytes + tail.length,
    chunks: joined(head, file, tail),
  };
}

async function* joined(
  head: Uint8Array,
  file: AsyncIterable<Uint8Array>,
  tail: Uint8Array,
): AsyncGenerator<Uint8Array> {
  yield head;
  yield* file;
  yield tail;
}

/** As browsers write a file's name into a form. */
function quoted(name: string): string {
  return name.replaceAll('"', "%22").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}
