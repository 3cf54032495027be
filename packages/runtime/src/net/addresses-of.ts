/** What customers' names stand for, so that a name whose server does not answer keeps nobody waiting but its own caller. */
import { lookup, type LookupAddress, promises } from "node:dns";

const QUESTION = { timeout: 2_000, tries: 2 };
/** So long a resolver knows the servers of this machine. */
const KNOWN_MS = 60_000;
/** DNS says that it does not know this name, or there is no DNS. */
const UNKNOWN: ReadonlySet<unknown> = new Set(["ENOTFOUND", "ENODATA", "ECONNREFUSED"]);

let known: { resolver: promises.Resolver; until: number } | undefined;
let system: Promise<unknown> = Promise.resolve();

/**
 * All addresses of a name, asked of DNS. The system would look up two at a time for the whole process: two names
 * whose servers hang are enough to stop everybody's. So it is only asked, with one name at a time, for what DNS does not
 * know: names without a dot, of the hosts file, of a search list. Rejects with what DNS or the system says, or with the
 * signal's reason.
 */
export async function addressesOf(host: string, signal: AbortSignal): Promise<LookupAddress[]> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([find(host, signal), aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

async function find(host: string, signal: AbortSignal): Promise<LookupAddress[]> {
  if (!/\../.test(host) || /\.localhost\.?$/.test(host)) return askSystem(host, signal);
  const asked = resolverNow();
  const [four, six] = await Promise.allSettled([asked.resolve4(host), asked.resolve6(host)]);
  const found = [...listOf(four, 4), ...listOf(six, 6)];
  if (found.length > 0) return found;
  for (const one of [four, six]) {
    if (one.status === "rejected" && !UNKNOWN.has(Object(one.reason).code)) throw one.reason;
  }
  return askSystem(host, signal);
}

function listOf(answer: PromiseSettledResult<string[]>, family: 4 | 6): LookupAddress[] {
  return answer.status === "fulfilled" ? answer.value.map((address) => ({ address, family })) : [];
}

function resolverNow(): promises.Resolver {
  const now = performance.now();
  if (!known || known.until < now) {
    known = { resolver: new promises.Resolver(QUESTION), until: now + KNOWN_MS };
  }
  return known.resolver;
}

function askSystem(host: string, signal: AbortSignal): Promise<LookupAddress[]> {
  const asking = system.then(() => {
    signal.throwIfAborted();
    return new Promise<LookupAddress[]>((resolve, reject) => {
      lookup(host, { all: true }, (error, addresses) => {
        if (error) reject(error);
        else resolve(addresses);
      });
    });
  });
  system = asking.catch(() => undefined);
  return asking;
}
