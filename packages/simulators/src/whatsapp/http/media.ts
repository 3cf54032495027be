import type { IncomingMessage, ServerResponse } from "node:http";
import type { WhatsAppServer } from "../server.ts";
import { HttpError, readBody, sendJson } from "./json.ts";

const UPLOAD_LIMIT_BYTES = 64 * 1024 * 1024;

/**
 * The files of messages: `POST /mms/<kind>/<token>` stores one, `GET /media/<name>` gives it back. The answer
 * has no `direct_path`: with one, clients insist on https.
 * @returns whether the request was for it
 */
export async function serveMedia(
  server: WhatsAppServer,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): Promise<boolean> {
  if (request.method === "POST" && path.startsWith("/mms/")) {
    const name = server.media.put(await readBody(request, UPLOAD_LIMIT_BYTES));
    // the client has just reached this server under this name, so others will
    const host = request.headers.host ?? server.mediaHost;
    sendJson(response, 200, { url: `http://${host}/media/${name}` });
    return true;
  }
  if (!path.startsWith("/media/")) return false;
  const name = path.slice("/media/".length);
  if (request.method === "DELETE") {
    sendJson(response, 200, { deleted: server.media.delete(name) });
    return true;
  }
  const file = server.media.get(name);
  if (!file) throw new HttpError(404, "not_found", "There is no such file.");
  response.writeHead(200, {
    "content-type": "application/octet-stream",
    "content-length": file.length,
  });
  response.end(file);
  return true;
}
