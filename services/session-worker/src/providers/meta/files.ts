/** Files that people sent to a number, from Meta's servers and nowhere else. */
import { FileGoneError, type NumberRef } from "../provider.ts";
import { GraphRefusal } from "./graph.ts";
import type { MetaParts } from "./login.ts";
import { createSteps } from "./steps.ts";

/** Meta keeps files there; the token goes to nobody else. */
const HOSTS = /(^|\.)(fbsbx\.com|fbcdn\.net|facebook\.com|whatsapp\.net)$/;

/** `source`: what the webhook told of the file, as JSON. */
export async function fetchMetaFile(
  source: Buffer,
  number: NumberRef,
  { graph, store, logger }: Pick<MetaParts, "graph" | "store" | "logger">,
): Promise<AsyncIterable<Uint8Array>> {
  const place = await store.load(number);
  if (!place) throw new Error("the number has no token");
  const { id } = JSON.parse(source.toString()) as { id?: string | null };
  if (typeof id !== "string" || !/^[A-Za-z0-9_-]{1,128}$/.test(id)) {
    throw new FileGoneError("the file has no id");
  }
  // An address lives five minutes; asked with the number, Meta checks that the file is the number's.
  const path = `${id}?phone_number_id=${place.phoneNumberId}`;
  for (let tries = 1; ; tries += 1) {
    try {
      const { url } = await graph.call("GET", path, place);
      createSteps(logger, number, place.token).note("file_resolved");
      return await graph.download(allowed(String(url), graph.origin), place.token);
    } catch (error) {
      const isGone = error instanceof GraphRefusal && [400, 404].includes(error.httpStatus);
      if (isGone && tries > 1)
        throw new FileGoneError("Meta does not have the file", { cause: error });
      if (!isGone) throw error;
    }
  }
}

function allowed(text: string, origin: string): string {
  const url = new URL(text);
  const isMeta = url.protocol === "https:" && HOSTS.test(url.hostname);
  if (!isMeta && url.origin !== origin) throw new FileGoneError("a file that is not at Meta's");
  return url.href;
}
