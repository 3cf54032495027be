import { ManylineError } from "@manyline/contracts";
import { companyOfFileLink, getMedia, openFileLink, withCompany } from "@manyline/db";
import { MediaStoreError } from "@manyline/media";
import { Type } from "typebox";
import type { App } from "../app.ts";
import type { Deps } from "../deps.ts";
import { problems } from "./schemas.ts";

/** For a WPP server that is told where a file is that it shall send: the link is the proof, for an hour. */
export function registerFileLinks(app: App, deps: Deps): void {
  app.get(
    "/api/whatsapp/files/:token",
    {
      schema: {
        tags: ["messages"],
        summary: "A file that is being sent, by a link of its own",
        description:
          "For the server that sends it and cannot log in here: the link names one file, is sealed, and lives an hour.",
        params: Type.Object({ token: Type.String({ maxLength: 600 }) }),
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
      const { token } = request.params;
      const companyNo = companyOfFileLink(token);
      if (companyNo === undefined) throw new ManylineError("MEDIA_NOT_FOUND");
      const row = await withCompany(deps.appDb, companyNo, async (tx) => {
        const link = await openFileLink(tx, deps.keyring, token, deps.clock.now());
        return link && getMedia(tx, companyNo, link.mediaId);
      });
      if (!row?.location) throw new ManylineError("MEDIA_NOT_FOUND");
      const file = await deps.media.open(row.location).catch((error: unknown) => {
        if (!(error instanceof MediaStoreError)) throw error;
        throw new ManylineError("UNAVAILABLE", {}, { cause: error });
      });
      if (!file) throw new ManylineError("MEDIA_NOT_FOUND");
      return reply
        .headers({
          "content-type": /^[\w.+-]+\/[\w.+-]+$/.test(row.mimeType)
            ? row.mimeType
            : "application/octet-stream",
          "content-length": file.bytes,
          "content-disposition": "attachment",
          "content-security-policy": "sandbox; default-src 'none'",
          "cache-control": "private, no-store",
        })
        .send(file.stream);
    },
  );
}
