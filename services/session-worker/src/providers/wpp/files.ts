/** Files that people sent to a number, from the server that told of them. */
import { addressGuard, FetchRefused, guardedGet } from "@manyline/runtime";
import { FileGoneError, type NumberRef } from "../provider.ts";
import { WppError } from "./errors.ts";
import { isConfigured, lineOf, type WppParts } from "./parts.ts";

const FETCH_MS = 60_000;

/** `source`: what the webhook told of the file, as JSON: `{messageId}` or `{url}`. */
export async function fetchWppFile(
  source: Buffer,
  number: NumberRef,
  parts: WppParts,
): Promise<AsyncIterable<Uint8Array>> {
  const known = await parts.store.load(number.fence);
  if (!known?.client || !isConfigured(known.server, parts)) {
    throw new Error("the number has no session at its server");
  }
  const { messageId, url } = JSON.parse(source.toString()) as Record<string, unknown>;
  if (typeof url === "string") return fetchFrom(url, parts);
  if (typeof messageId !== "string" || messageId === "") {
    throw new FileGoneError("the file has no id at its server");
  }
  try {
    return await lineOf({ ...known, client: known.client }, number, parts).file(messageId);
  } catch (error) {
    const isGone = error instanceof WppError && ["not_found", "refused"].includes(error.kind);
    throw isGone ? new FileGoneError("its server does not have the file", { cause: error }) : error;
  }
}

/**
 * The platform names addresses of its own, a server with a bucket the bucket's: nothing of ours is sent along, and no other
 * place inside is reached. WPPConnect Server's own address least of all: some of its calls need no login, and one ends it.
 */
async function fetchFrom(url: string, parts: WppParts): Promise<AsyncIterable<Uint8Array>> {
  try {
    const isOurs = parts.origins.includes(URL.parse(url)?.origin ?? "");
    const guard = isOurs ? { allows: () => true } : addressGuard();
    const options = { guard, timeoutMs: FETCH_MS, ...(isOurs ? { maxRedirects: 0 } : {}) };
    return (await guardedGet(url, options)).body;
  } catch (error) {
    const isGone =
      error instanceof FetchRefused &&
      (["bad_url", "address"].includes(error.reason) ||
        [403, 404, 410].includes(error.status ?? 0));
    throw isGone ? new FileGoneError("its file cannot be fetched", { cause: error }) : error;
  }
}
