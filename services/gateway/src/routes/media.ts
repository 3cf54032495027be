import { ManylineError } from "@manyline/contracts";
import { getMedia, insertMedia, withCompany } from "@manyline/db";
import type { MediaRow, NumberRow } from "@manyline/db";
import { MediaStoreError } from "@manyline/media";
import type { OpenMedia } from "@manyline/media";
import type { FastifyRequest } from "fastify";
import { Readable } from "node:stream";
import { Type } from "typebox";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { findNumber } from "../numbers.ts";
import { UPLOAD_BYTES, uploadTooLarge } from "../sends/media-intake.ts";
import type { ReadyFile } from "../sends/media-intake.ts";
import { CompanyParams, NumberQuery, problems, ref } from "./schemas.ts";

const MEDIA = "/api/whatsapp/sessions/:companyId/media";
const tags = ["messages"];

export function registerMedia(app: App, deps: Deps): void {
  // A scope of its own: here, and nowhere else, a body may be anything, JSON included.
  void app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", (_request, payload, parsed) => parsed(null, payload));
    registerUpload(scope, deps);
    done();
  });

  app.get(
    `${MEDIA}/:mediaId`,
    {
      schema: {
        tags,
        summary: "Download a file of a message",
        description:
          "A file of a received message is fetched from WhatsApp when it is first asked for, and kept. 409 MEDIA_NOT_READY: not yet, try again; 404 MEDIA_NOT_FOUND: nobody has it any more.",
        params: Type.Object({
          ...CompanyParams.properties,
          mediaId: Type.String({ description: "med_…" }),
        }),
        response: {
          200: {
            description: "the file",
            content: { "*/*": { schema: { type: "string", format: "binary" } } },
          },
          ...problems,
        },
      },
    },
    async (request, reply) => {
      const { row, number } = await rowOf(deps, request, request.params.mediaId);
      // A file never changes.
      const etag = `"${row.mediaId}"`;
      if (request.headers["if-none-match"] === etag) return reply.code(304).send();
      const { bytes, stream } = await opened(deps, row, number);
      return reply
        .headers({
          "content-type": typeOf(row.mimeType),
          "content-length": bytes,
          "content-disposition": disposition(row.fileName),
          // Somebody else made this file: a browser shall show none of it as a page of ours.
          "content-security-policy": "sandbox; default-src 'none'",
          "cache-control": "private, max-age=86400, immutable",
          etag,
        })
        .send(stream);
    },
  );
}

function registerUpload(app: App, deps: Deps): void {
  app.post(
    MEDIA,
    {
      bodyLimit: UPLOAD_BYTES,
      schema: {
        tags,
        summary: "Upload a file, to be sent by its mediaId",
        description: `The body is the file, at most ${UPLOAD_BYTES} bytes. Whether it fits is judged when it is sent as something.`,
        consumes: ["application/octet-stream"],
        params: CompanyParams,
        querystring: Type.Object(
          {
            ...NumberQuery.properties,
            fileName: Type.Optional(
              Type.String({ minLength: 1, maxLength: 255, pattern: "^[^\\p{Cc}\\p{Cs}/\\\\]+$" }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 201: ref("UploadAnswer"), ...problems },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const { companyNo } = tenant;
      const { fileName = null, number: wanted } = request.query;
      const number = await withCompany(deps.appDb, companyNo, (tx) =>
        findNumber(tx, tenant, principalOf(request), wanted),
      );
      if (!number) throw new ManylineError("NUMBER_NOT_FOUND");
      const file = await uploaded(deps, request, companyNo, fileName);
      try {
        if (file.bytes === 0) {
          throw new ManylineError("MEDIA_REFUSED", {
            reason: "empty",
            detail: "The file is empty.",
          });
        }
        await withCompany(deps.appDb, companyNo, (tx) =>
          insertMedia(tx, { ...file, companyNo, numberNo: number.numberNo }),
        );
      } catch (error) {
        await deps.intake.drop(file);
        throw error;
      }
      const { mediaId, mimeType, bytes, sha256 } = file;
      return reply.code(201).send({ success: true, mediaId, mimeType, bytes, sha256 });
    },
  );
}

/** What is left of a refused upload is read and dropped, so that the caller gets the answer; but not for ever. */
const DRAIN_MS = 10_000;
/** How long somebody may take over an upload. */
const UPLOAD_MS = 300_000;

async function uploaded(
  deps: Pick<Deps, "intake">,
  request: FastifyRequest,
  companyNo: number,
  fileName: string | null,
): Promise<ReadyFile> {
  const { raw, headers, body } = request;
  const contentType = headers["content-type"];
  if (Number(headers["content-length"] ?? 0) > UPLOAD_BYTES) throw uploadTooLarge();
  const content = body instanceof Readable ? body.iterator({ destroyOnReturn: false }) : [];
  let timer = setTimeout(() => raw.destroy(), UPLOAD_MS);
  try {
    return await deps.intake.upload(companyNo, content, { contentType, fileName });
  } catch (error) {
    clearTimeout(timer);
    timer = setTimeout(() => raw.destroy(), DRAIN_MS);
    raw.resume();
    throw error;
  } finally {
    if (raw.complete || raw.destroyed) clearTimeout(timer);
    else raw.once("close", () => clearTimeout(timer));
  }
}

type Found = { readonly row: MediaRow; readonly number: Pick<NumberRow, "companyNo" | "numberNo"> };

/** Throws MEDIA_NOT_FOUND, also for the file of a number that the token is not for. */
async function rowOf(
  deps: Pick<Deps, "appDb">,
  request: FastifyRequest,
  mediaId: string,
): Promise<Found> {
  const { companyNo } = tenantOf(request);
  const { numberNo } = principalOf(request);
  const row = await withCompany(deps.appDb, companyNo, (tx) => getMedia(tx, companyNo, mediaId));
  const isForeign = numberNo !== null && row?.numberNo !== numberNo;
  if (!row || isForeign || row.state === "gone") throw new ManylineError("MEDIA_NOT_FOUND");
  return { row, number: { companyNo, numberNo: row.numberNo } };
}

/** Throws MEDIA_NOT_FOUND; MEDIA_NOT_READY, NO_OWNER, NOT_CONNECTED, COMMAND_TIMEOUT of one that WhatsApp has. */
async function opened(deps: Deps, row: MediaRow, number: Found["number"]): Promise<OpenMedia> {
  const { location } = row.state === "remote" ? await fetched(deps, row, number) : row;
  if (location === null) throw new ManylineError("MEDIA_NOT_READY");
  try {
    const found = await deps.media.open(location);
    if (found) return found;
  } catch (error) {
    if (error instanceof MediaStoreError) {
      throw new ManylineError("UNAVAILABLE", {}, { cause: error });
    }
    throw error;
  }
  throw new ManylineError("MEDIA_NOT_FOUND");
}

/** The owner gets it from WhatsApp; each file is a queue of its own, so that a slow one holds up no other. */
async function fetched(
  deps: Deps,
  { mediaId }: MediaRow,
  number: Found["number"],
): Promise<MediaRow> {
  const { companyNo } = number;
  const command = await withCompany(deps.appDb, companyNo, (tx) =>
    deps.commands.enqueue(tx, number, "fetch_media", { mediaId }, { queue: mediaId }),
  );
  await deps.commands.result(command);
  const row = await withCompany(deps.appDb, companyNo, (tx) => getMedia(tx, companyNo, mediaId));
  if (!row || row.state === "gone") throw new ManylineError("MEDIA_NOT_FOUND");
  return row;
}

/** As its sender named it, with parameters (`audio/ogg; codecs=opus`), unless it can be in no header. */
function typeOf(mimeType: string): string {
  return /^[\w.+-]+\/[\w.+-]+(;[\x20-\x7e]*)?$/.test(mimeType)
    ? mimeType
    : "application/octet-stream";
}

/** Always to be saved, never shown in place; other letters than ASCII by RFC 6266. */
function disposition(fileName: string | null): string {
  if (fileName === null) return "attachment";
  const plain = fileName.replaceAll(/[^\x20-\x7e]|["\\%]/g, "_");
  const encoded = encodeURIComponent(fileName.toWellFormed()).replaceAll(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}
