/**
 * Claims what waits to be sent, for all numbers of the worker together: one statement at a time, and only as much
 * as each number can send now. A number that is not open claims nothing.
 */
import { claimSends, recoverSends, type Send } from "@manyline/db";
import type { WorkerContext } from "../numbers/context.ts";
import type { NumberActor } from "../numbers/number-actor.ts";

/** Messages in one claim. */
const MOST_AT_ONCE = 200;
/** Numbers in one claim. */
const MOST_NUMBERS = 500;

export class SendDispatcher {
  readonly #context: WorkerContext;
  readonly #actorOf: (numberNo: number) => NumberActor | undefined;
  /** Numbers that may have something to send, in the order asked. */
  readonly #asked = new Set<number>();
  #isRunning = false;
  #isStopped = false;

  constructor(context: WorkerContext, actorOf: (numberNo: number) => NumberActor | undefined) {
    this.#context = context;
    this.#actorOf = actorOf;
  }

  ask(numberNo: number): void {
    this.#asked.add(numberNo);
    if (this.#isRunning || this.#isStopped) return;
    this.#isRunning = true;
    void this.#run();
  }

  stop(): void {
    this.#isStopped = true;
    this.#asked.clear();
  }

  async #run(): Promise<void> {
    // What is asked for in the same turn belongs together.
    await Promise.resolve();
    try {
      while (this.#asked.size > 0 && !this.#context.isQuiet()) {
        const numberNos = [...this.#asked].slice(0, MOST_NUMBERS);
        for (const numberNo of numberNos) this.#asked.delete(numberNo);
        await this.#claim(numberNos.flatMap((numberNo) => this.#actorOf(numberNo) ?? []));
      }
    } catch (error) {
      this.#context.logger.warn({ event: "sends.claim_failed", err: error }, "nothing claimed");
    } finally {
      // Whatever is left is asked for again by the next poll.
      this.#asked.clear();
      this.#isRunning = false;
    }
  }

  async #claim(asked: readonly NumberActor[]): Promise<void> {
    const actors = asked.filter(({ outbox }) => outbox.room > 0);
    if (actors.length === 0) return;
    await this.#recover(actors.filter(({ outbox }) => outbox.isInDoubt));
    const { db } = this.#context;
    const ready = actors.map(({ fence, outbox }) => ({ fence, room: outbox.room }));
    let sends: Send[];
    try {
      sends = await claimSends(db, ready, MOST_AT_ONCE);
    } catch (error) {
      // It may have been committed all the same.
      for (const { outbox } of actors) outbox.noteDoubt();
      throw error;
    }
    const byNumber = Map.groupBy(sends, ({ numberNo }) => numberNo);
    for (const actor of actors) {
      const { numberNo } = actor.number;
      const mine = byNumber.get(numberNo);
      // Let go meanwhile: whoever owns it now finds out that these were claimed.
      if (this.#actorOf(numberNo) !== actor) this.#actorOf(numberNo)?.outbox.noteDoubt();
      else if (mine) actor.outbox.take(mine);
      if (sends.length >= MOST_AT_ONCE) this.#asked.add(numberNo);
    }
  }

  async #recover(actors: readonly NumberActor[]): Promise<void> {
    if (actors.length === 0) return;
    const count = await recoverSends(
      this.#context.db,
      actors.map(({ fence }) => fence),
      actors.flatMap(({ outbox }) => outbox.known),
    );
    for (const { outbox } of actors) outbox.noteRecovered();
    if (count > 0) this.#context.logger.info({ event: "sends.recovered", count }, "recovered");
  }
}
