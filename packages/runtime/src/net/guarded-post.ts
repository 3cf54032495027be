import { isIP } from "node:net";
import { addressGuard, type AddressGuard } from "./address-guard.ts";
import { addressesOf } from "./addresses-of.ts";
import { FetchRefused, guardedRequest, type Kept, parseGuarded } from "./guarded-get.ts";

export type GuardedPost = {
  readonly guard: AddressGuard;
  /** For everything, the answer's body included. */
  readonly timeoutMs: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** An answer that is longer is refused (`too_large`). */
  readonly maxBytes: number;
  /** Connections that may be used again, as long as the name stands for the same addresses. */
  readonly kept?: Kept;
};

export type GuardedReply = { readonly status: number; readonly body: Buffer };

/**
 * POSTs to a customer's URL, if every address that its name stands for is allowed; the connection goes to those.
 * A redirect is an answer like any other: what was signed for one address goes to no other.
 * @throws FetchRefused
 */
export async function guardedPost(url: string, options: GuardedPost): Promise<GuardedReply> {
  const { guard, timeoutMs, headers, body, maxBytes, kept } = options;
  const timeout = AbortSignal.timeout(timeoutMs);
  const answer = await guardedRequest(parseGuarded(url), guard, timeout, {
    method: "POST",
    headers,
    body,
    kept,
  });
  const onTimeout = (): void => {
    answer.destroy(new FetchRefused("timeout"));
  };
  timeout.addEventListener("abort", onTimeout, { once: true });
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new FetchRefused("too_large");
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof FetchRefused) throw error;
    throw new FetchRefused(timeout.aborted ? "timeout" : "unreachable", { cause: error });
  } finally {
    timeout.removeEventListener("abort", onTimeout);
    answer.destroy();
  }
  return { status: answer.statusCode ?? 0, body: Buffer.concat(chunks) };
}

const everybody = addressGuard();
/** For looking up a name that is only judged. */
const NAME_MS = 10_000;

/**
 * Whether a customer's URL may be stored to be called later: all its addresses are allowed, and it is encrypted unless
 * they are none that everybody can reach. It is judged again at each call.
 * @throws FetchRefused `bad_url`, `address` or `unreachable`
 */
export async function judgeUrl(text: string, guard: AddressGuard): Promise<void> {
  const url = parseGuarded(text);
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const addresses = isIP(host) === 0 ? await namedAddresses(host) : [host];
  if (addresses.some((address) => !guard.allows(address))) throw new FetchRefused("address");
  const isPublic = addresses.some((address) => everybody.allows(address));
  if (isPublic && url.protocol !== "https:") throw new FetchRefused("bad_url");
}

async function namedAddresses(host: string): Promise<string[]> {
  try {
    return (await addressesOf(host, AbortSignal.timeout(NAME_MS))).map(({ address }) => address);
  } catch (error) {
    throw new FetchRefused("unreachable", { cause: error });
  }
}
