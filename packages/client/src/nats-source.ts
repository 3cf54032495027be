import { EVENTS_STREAM, FAMILIES } from "@manyline/contracts";
import type { Family } from "@manyline/contracts";
import { createBus, createSilentLogger } from "@manyline/runtime";
import type { Bus, Logger, StartAt } from "@manyline/runtime";
import { readEvent } from "./events.ts";
import type { EventSource, Inbox } from "./subscription.ts";

export type NatsOptions = {
  /** `nats://user:password@host:port`, or a bus that is there; that one is not closed. */
  readonly nats: string | readonly string[] | Bus;
  /** Without it the events of all companies, which takes an operator's credentials. */
  readonly companyId?: string;
  /** Default: all. With `durable` one, or all. */
  readonly families?: readonly Family[];
  /**
   * The name of a durable consumer: nothing is missed for as long as the stream holds it (48 h), and processes
   * with the same name share the events. It takes credentials that may use JetStream, which a company's own
   * may not; theirs hear what is published while they listen.
   */
  readonly durable?: string;
  /** Where a new durable begins; default with what is new. */
  readonly startAt?: StartAt;
  readonly logger?: Logger;
};

/** Events off NATS. A company that must miss nothing takes `sseSource`. */
export function natsSource(options: NatsOptions): EventSource {
  const subjects = subjectsOf(options);
  return {
    run: async (inbox, signal) => {
      const { nats } = options;
      const isOwn = typeof nats === "string" || Array.isArray(nats);
      const logger = options.logger ?? createSilentLogger();
      const bus = isOwn
        ? createBus({ servers: nats as string | string[], name: "manyline-client", logger })
        : (nats as Bus);
      try {
        await listen(bus, subjects, options, inbox, signal);
      } finally {
        if (isOwn) await bus.close();
      }
    },
  };
}

function subjectsOf({ companyId, families = FAMILIES, durable }: NatsOptions): string[] {
  const rest = companyId === undefined ? ">" : `*.${companyId}.>`;
  if (durable === undefined) return families.map((family) => `${family}.${rest}`);
  const [family, ...more] = families;
  // Servers before 2.10 take one filter.
  if (more.length === 0 && family !== undefined) return [`${family}.${rest}`];
  if (families === FAMILIES) return [companyId === undefined ? ">" : `*.${rest}`];
  throw new TypeError("a durable takes one family, or all");
}

async function listen(
  bus: Bus,
  subjects: readonly string[],
  options: NatsOptions,
  inbox: Inbox,
  signal: AbortSignal,
): Promise<void> {
  const { durable, startAt = "new" } = options;
  const take = async ({ data }: { data: Uint8Array }): Promise<void> => {
    const event = readEvent(parsed(data));
    if (event) await inbox.take(event);
  };
  const open =
    durable === undefined
      ? // Several subjects, each in its own order: seq puts them together.
        subjects.map((subject) => bus.subscribe(subject, (message) => quietly(take(message))))
      : subjects.map((filterSubject) =>
          bus.consume({
            stream: EVENTS_STREAM,
            durable,
            filterSubject,
            startAt,
            // What waits for a gap holds its place, so there are many.
            maxInFlight: 256,
            handler: take,
          }),
        );
  const aborted = Promise.withResolvers<void>();
  if (signal.aborted) aborted.resolve();
  else signal.addEventListener("abort", () => aborted.resolve(), { once: true });
  await aborted.promise;
  await Promise.all(open.map((one) => one.close()));
}

/** Nobody gives a core message again. */
async function quietly(taken: Promise<void>): Promise<void> {
  await taken.catch(() => undefined);
}

function parsed(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(data));
  } catch {
    return undefined;
  }
}
