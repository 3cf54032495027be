/**
 * What becomes of a number's messages, noted in the order in which it is learnt. Whatever comes while a commit
 * is under way shares the next one, and with it what other numbers of the worker have learnt.
 */
import type { CompanyId, NumberId } from "@manyline/contracts";
import { FencedError, type InboundSource, type OwnedNumber, type Status } from "@manyline/db";
import { outsideTrace } from "@manyline/runtime";
import type { WorkerContext } from "./context.ts";
import { Grouped } from "./grouped.ts";
import type { NumberJournal } from "./journal.ts";

/** In one commit. Whoever takes the number over waits for it. */
const MOST_AT_ONCE = 64;

export class StatusPump {
  readonly #context: WorkerContext;
  readonly #number: () => OwnedNumber;
  readonly #journal: NumberJournal;
  readonly #signal: AbortSignal;
  readonly #commits: Grouped<Status, true>;

  constructor(
    context: WorkerContext,
    number: () => OwnedNumber,
    journal: NumberJournal,
    signal: AbortSignal,
  ) {
    this.#context = context;
    this.#number = number;
    this.#journal = journal;
    this.#signal = signal;
    this.#commits = new Grouped<Status, true>(async (statuses) => {
      await this.#commit(statuses);
      return statuses.map(() => true as const);
    }, MOST_AT_ONCE);
  }

  /** Resolves when all of them are stored and told. Rejects only when the number is let go. */
  async add(statuses: readonly Status[]): Promise<void> {
    await outsideTrace(() => Promise.all(statuses.map((status) => this.#commits.add(status))));
  }

  async #commit(statuses: readonly Status[]): Promise<void> {
    const { resultCommits, relay, reports } = this.#context;
    try {
      const events = await this.#journal.patiently(() =>
        resultCommits.add({ source: this.source(), statuses }),
      );
      if (events.length > 0) relay.publish(events);
      for (const { type } of events) reports.message(type);
    } catch (error) {
      if (this.#signal.aborted || error instanceof FencedError) throw error;
      // One bent status must not hold up the others.
      if (statuses.length > 1) for (const status of statuses) await this.#commit([status]);
      else reports.failed("status", this.#number(), error);
    }
  }

  /** Whose messages they are, and who tells of them. */
  source(): InboundSource {
    const { companyId, numberId, provider } = this.#number();
    return {
      fence: this.#journal.fence,
      companyId: companyId as CompanyId,
      numberId: numberId as NumberId,
      provider,
      phone: this.#journal.phone,
      service: "session-worker",
    };
  }
}
