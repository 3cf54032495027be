import { readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { ManylineError } from "@manyline/contracts";
import type { FastifyReply } from "fastify";
import type { App } from "../app.ts";
import type { Deps } from "../deps.ts";

/** Built names carry a hash of their content, so they never change. */
const FOR_EVER = "public, max-age=31536000, immutable";
const ASSET_NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/;

const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".json": "application/json; charset=utf-8",
  ".map": "application/json; charset=utf-8",
  ".woff2": "font/woff2",
};

const INDEX = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Manyline</title>
<meta name="viewport" content="width=device-width">
<h1>Manyline</h1>
<ul>
<li><a href="/docs/">The API, to read and try</a> (<a href="/openapi.json">openapi.json</a>)</li>
<li><a href="/whatsapp-pairing.html">The pairing page</a>; it opens with a pairing link</li>
<li><a href="/capabilities.html">What each number can do</a></li>
<li><a href="/health/ready">Is everything well?</a></li>
</ul>
</html>
`;

/** The web pages: built files of the console, nothing made here, nothing fetched from elsewhere. */
export function registerPages(app: App, deps: Deps): void {
  const { consoleDir } = deps.config.http;
  const schema = { hide: true };

  app.get("/", { schema }, (_request, reply) => asPage(reply).send(INDEX));

  for (const name of ["whatsapp-pairing.html", "capabilities.html"]) {
    app.get(`/${name}`, { schema }, async (_request, reply) =>
      asPage(reply).send(await fileOf(join(consoleDir, name))),
    );
  }

  app.get<{ Params: { "*": string } }>("/assets/*", { schema }, async (request, reply) => {
    const name = request.params["*"];
    const type = TYPES[extname(name)];
    // One flat folder: a name with a slash or leading dot is no file of ours.
    if (!ASSET_NAME.test(name) || type === undefined) throw new ManylineError("NOT_FOUND");
    const file = await fileOf(join(consoleDir, "assets", name));
    return reply.type(type).header("cache-control", FOR_EVER).send(file);
  });
}

function asPage(reply: FastifyReply): FastifyReply {
  return reply.type("text/html; charset=utf-8").header("cache-control", "no-store");
}

async function fileOf(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new ManylineError("NOT_FOUND", {}, { cause: error });
  }
}
