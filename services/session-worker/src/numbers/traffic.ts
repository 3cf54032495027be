/** Everything that passes over a number's connection: what comes, what is sent, what becomes of it. */
import { commitInbound, FencedError, findSent, type OwnedNumber } from "@manyline/db";
import { LineWatch } from "../domain/line-watch.ts";
import type { WorkerContext } from "./context.ts";
import { InboundPump } from "./inbound-pump.ts";
import type { NumberJournal } from "./journal.ts";
import { Outbox } from "./outbox.ts";
import type { Traffic } from "./session-keeper.ts";
import { StatusPump } from "./status-pump.ts";
import { catchUpWpp } from "../wpp-catch-up.ts";

/** Devices that could not read a message ask within this time; what is older does not come up again. */
const REPEAT_MS = 86_400_000;

export type NumberTraffic = {
  inbound: InboundPump;
  outbox: Outbox;
  statuses: StatusPump;
  watch: LineWatch;
  /** For the one who opens connections. */
  handlers: Traffic;
};

export function createTraffic(
  context: WorkerContext,
  number: () => OwnedNumber,
  journal: NumberJournal,
  signal: AbortSignal,
): NumberTraffic {
  const { db, keyring, relay, reports, clock } = context;
  const { numberNo } = number();
  const inbound = new InboundPump(context, number, journal, signal);
  const statuses = new StatusPump(context, number, journal, signal);
  const outbox = new Outbox(context, number, journal, statuses, signal, () =>
    context.askSends(numberNo),
  );
  const watch = new LineWatch(context.recycling);
  /** What is only good to know: told if it works, now or never. */
  const inPassing = (what: string, work: Promise<unknown>): void => {
    work.catch((error: unknown) => {
      if (!signal.aborted && !(error instanceof FencedError)) reports.failed(what, number(), error);
    });
  };
  return {
    inbound,
    outbox,
    statuses,
    watch,
    handlers: {
      onReceived: (entries) => {
        watch.heard(clock.monotonic());
        inbound.take(entries);
      },
      onReceipts: (receipts) => {
        watch.heard(clock.monotonic());
        return outbox.receive(receipts);
      },
      onTimelock: (timelock) => inPassing("restriction", outbox.restrictions.note(timelock)),
      onPace: (pace) => outbox.changePace(pace),
      onPerson: (person) => {
        const commit = async (): Promise<void> => {
          const item = { kind: "person", person } as const;
          const { events } = await journal.patiently(() =>
            commitInbound(db, keyring, statuses.source(), [item]),
          );
          if (events.length > 0) relay.publish(events);
        };
        inPassing("person", commit());
      },
      onUnread: (session, unread) => {
        const parts = { db, keyring, media: context.media };
        const commit = async (): Promise<void> => {
          const { events } = await journal.patiently(() =>
            catchUpWpp(parts, statuses.source(), session, unread),
          );
          if (events.length > 0) relay.publish(events);
        };
        inPassing("unread", commit());
      },
      findSent: (id) => journal.patiently(() => findSent(db, journal.fence, id, REPEAT_MS)),
      onUp: (connection) => {
        watch.opened(clock.monotonic());
        outbox.up(connection);
      },
      onDown: () => {
        watch.closed();
        outbox.down();
      },
    },
  };
}
