import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { extname, join, normalize, sep } from "node:path";

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".map": "application/json; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".txt": "text/plain; charset=utf-8",
};

const NO_PAGE =
  "This is the WhatsApp simulator. Build the phone page and start it with --page <folder> to get it here.\n";

/** Serves a built folder; `/` is its `phone.html`. @returns false when there is no such file */
export async function servePage(
  folder: string | undefined,
  path: string,
  response: ServerResponse,
): Promise<boolean> {
  if (folder === undefined) {
    if (path !== "/") return false;
    response.writeHead(200, { "content-type": "text/plain; charset=utf-8" }).end(NO_PAGE);
    return true;
  }
  const root = normalize(folder + sep);
  const file = join(root, path === "/" ? "phone.html" : path);
  if (!file.startsWith(root) || file.includes("\0")) return false;
  const info = await stat(file).catch(() => undefined);
  if (!info?.isFile()) return false;
  response.writeHead(200, {
    "content-type": TYPES[extname(file)] ?? "application/octet-stream",
    "content-length": info.size,
    "x-content-type-options": "nosniff",
  });
  createReadStream(file)
    .on("error", () => response.destroy())
    .pipe(response);
  return true;
}
