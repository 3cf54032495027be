import type { Session } from "./connection.ts";
import { untilEnded } from "./runner.ts";
import type { ConsumerDeps, ConsumerRunner } from "./runner.ts";
import { settledWithin } from "./abort.ts";
import { consumerInfo, nanoseconds, putConsumer, startConfig } from "./jetstream.ts";
import type { ConsumerConfig } from "./jetstream.ts";
import { createBatcher } from "./batcher.ts";
import { Puller } from "./puller.ts";
import { Settler } from "./settler.ts";
import { answer } from "./stream-message.ts";
import type { Delivery } from "./stream-message.ts";
import type { BatchOptions, DurableOptions } from "./types.ts";

const DEFAULT_IN_FLIGHT = 64;
const DEFAULT_ACK_WAIT_MS = 30_000;
/** Messages that wait for their retry count at the server as unanswered; they must not stop the rest. */
const MAX_ACK_PENDING = 5_000;
const HANDLER_GRACE_MS = 5_000;

/** Work on a durable: each message is answered only after its handler. */
export function createDurableRunner(
  deps: ConsumerDeps,
  options: DurableOptions | BatchOptions,
): ConsumerRunner {
  const settler = new Settler(options, deps.logger);
  const running = new Set<Promise<void>>();
  const ackWaitMs = options.ackWaitMs ?? DEFAULT_ACK_WAIT_MS;
  let hasRun = false;

  async function run(session: Session, signal: AbortSignal): Promise<string> {
    const { wire } = session;
    await ensureDurable(session);
    hasRun = true;
    const held = new Set<Delivery>();

    async function process(
      work: () => Promise<void>,
      deliveries: readonly Delivery[],
    ): Promise<void> {
      try {
        await work();
      } finally {
        for (const delivery of deliveries) {
          held.delete(delivery);
          puller.free();
        }
      }
    }

    function start(work: () => Promise<void>, deliveries: readonly Delivery[]): Promise<void> {
      const task = process(work, deliveries);
      running.add(task);
      void task.finally(() => running.delete(task));
      return task;
    }

    const batcher =
      "batch" in options
        ? createBatcher<Delivery>({
            maxItems: options.batch.maxMessages,
            maxWaitMs: options.batch.maxWaitMs ?? 5,
            handle: (deliveries) =>
              start(() => settler.settleBatch(wire, options, deliveries), deliveries),
          })
        : undefined;

    const puller = new Puller({
      wire,
      stream: options.stream,
      consumer: options.durable,
      maxInFlight: options.maxInFlight ?? DEFAULT_IN_FLIGHT,
      onDelivery: (delivery) => {
        held.add(delivery);
        if (batcher !== undefined) batcher.add(delivery);
        else if (!("batch" in options)) {
          void start(() => settler.settle(wire, options, delivery), [delivery]);
        }
      },
    });
    const stayAwake = setInterval(() => {
      for (const delivery of held) answer(wire, delivery, "working");
    }, ackWaitMs / 3);
    try {
      const reason = await untilEnded(puller.ended, signal);
      puller.stop(reason);
      // What was fetched and not begun goes back at once, so that another process may have it.
      for (const delivery of batcher?.clear() ?? []) {
        answer(wire, delivery, { nakDelayMs: 0 });
        held.delete(delivery);
      }
      await settledWithin(Promise.all(running), HANDLER_GRACE_MS);
      return reason;
    } finally {
      clearInterval(stayAwake);
    }
  }

  /** Creates the durable, or brings what may change of it (filter, waits) to what is wanted. */
  async function ensureDurable({ wire }: Session): Promise<void> {
    const existing = await consumerInfo(wire, options.stream, options.durable);
    const wanted: Partial<ConsumerConfig> = {
      ack_wait: nanoseconds(ackWaitMs),
      max_ack_pending: Math.max(MAX_ACK_PENDING, options.maxInFlight ?? DEFAULT_IN_FLIGHT),
      max_deliver: -1,
      ...(options.filterSubject === undefined ? {} : { filter_subject: options.filterSubject }),
    };
    if (existing !== undefined) {
      const { config } = existing;
      const isAsWanted =
        config.ack_wait === wanted.ack_wait &&
        config.max_ack_pending === wanted.max_ack_pending &&
        (config.filter_subject ?? "") === (options.filterSubject ?? "");
      if (isAsWanted) return;
      const { filter_subject: _replaced, ...kept } = config;
      await putConsumer(wire, options.stream, options.durable, { ...kept, ...wanted });
      return;
    }
    await putConsumer(wire, options.stream, options.durable, {
      name: options.durable,
      durable_name: options.durable,
      ack_policy: "explicit",
      // One that vanished under us vanished with its place: begin at the start, rather twice than never.
      ...startConfig(hasRun ? "all" : (options.startAt ?? "all")),
      replay_policy: "instant",
      ...wanted,
    });
  }

  return {
    run,
    drain: async () => {
      await settledWithin(Promise.all(running), HANDLER_GRACE_MS);
    },
  };
}
