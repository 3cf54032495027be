import { randomUUID } from "node:crypto";
import type { Session } from "./connection.ts";
import { untilEnded } from "./runner.ts";
import type { ConsumerDeps, ConsumerRunner } from "./runner.ts";
import { deleteConsumer, nanoseconds, putConsumer, startConfig } from "./jetstream.ts";
import { Puller } from "./puller.ts";
import type { Delivery } from "./stream-message.ts";
import type { OrderedOptions, StartAt } from "./types.ts";

/** The server forgets the consumer this long after its reader has vanished. */
const INACTIVE_MS = 60_000;
const READ_AHEAD_COUNT = 256;

/** Reads a stream in order with a throw-away consumer that is made anew, behind the last message handled, after every break. */
export function createOrderedRunner(deps: ConsumerDeps, options: OrderedOptions): ConsumerRunner {
  const { logger } = deps;
  let incarnation = options.incarnation;
  let lastSeq: number | undefined;
  let running: Promise<void> = Promise.resolve();

  /** Where to go on, looking first whether the stream is still the one that our place belongs to. */
  async function nextStart(session: Session): Promise<StartAt> {
    const state = await deps.streamState(session.wire, options.stream);
    const isOther = incarnation !== undefined && incarnation !== state.incarnation;
    const asked = options.startAt ?? "all";
    const next =
      lastSeq !== undefined
        ? lastSeq + 1
        : typeof asked === "object" && "seq" in asked
          ? asked.seq
          : undefined;
    incarnation = state.incarnation;
    if (isOther || (next !== undefined && next > state.lastSeq + 1)) {
      lastSeq = undefined;
      options.onReset?.(state);
      return "all";
    }
    return next === undefined ? asked : { seq: Math.max(1, next) };
  }

  async function run(session: Session, signal: AbortSignal): Promise<string> {
    const startAt = await nextStart(session);
    const name = `ordered-${randomUUID().replaceAll("-", "")}`;
    await putConsumer(session.wire, options.stream, name, {
      name,
      ack_policy: "none",
      ...startConfig(startAt),
      ...(options.filterSubject === undefined ? {} : { filter_subject: options.filterSubject }),
      replay_policy: "instant",
      max_deliver: 1,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: nanoseconds(INACTIVE_MS),
    });
    let deliverySeq = 0;
    let isLive = true;
    const puller = new Puller({
      wire: session.wire,
      stream: options.stream,
      consumer: name,
      maxInFlight: READ_AHEAD_COUNT,
      onDelivery: (delivery) => {
        if (!isLive) return;
        deliverySeq += 1;
        if (delivery.deliverySeq !== deliverySeq) {
          isLive = false;
          puller.stop("a delivery was lost");
          return;
        }
        running = running.then(() => (isLive ? handle(delivery, puller) : undefined));
      },
    });
    const reason = await untilEnded(puller.ended, signal);
    // Messages that wait are read again behind the last one handled; the one that runs is let end.
    isLive = false;
    puller.stop(reason);
    await running;
    if (!session.signal.aborted) {
      await deleteConsumer(session.wire, options.stream, name).catch(() => undefined);
    }
    return reason;
  }

  async function handle(delivery: Delivery, puller: Puller): Promise<void> {
    const { message } = delivery;
    try {
      await options.handler(message);
    } catch (error) {
      logger.error({ err: error, subject: message.subject, seq: message.seq }, "a reader failed");
    }
    lastSeq = message.seq;
    puller.free();
  }

  return { run, drain: () => running };
}
