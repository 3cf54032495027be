import {
  ANY_COMMAND_DONE_POKE,
  COMMANDS,
  ManylineError,
  isErrorCode,
  newCommandId,
  shardPoke,
} from "@manyline/contracts";
import type { CommandArgs, CommandId, CommandVerb } from "@manyline/contracts";
import { enqueueCommand, getCommand, withCompany } from "@manyline/db";
import type { CommandRow, Database, Tx } from "@manyline/db";
import { currentTraceparent } from "@manyline/runtime";
import type { Bus, BusSubscription, Clock } from "@manyline/runtime";
import { waitUntil } from "./domain/waiting.ts";
import { noOwner } from "./problem.ts";
import type { Reports } from "./reports.ts";

/** A command that is stored and whose commit is still ahead. */
export type QueuedCommand = {
  readonly commandId: CommandId;
  readonly companyNo: number;
  readonly verb: CommandVerb;
  readonly shardId: number;
  readonly deadlineMs: number;
};

const POLL_MS = 250;
/** The owner may write its result in the last moment before the deadline. */
const GRACE_MS = 250;

/**
 * Gives commands to the owner of a number and waits for the row's result. A poke makes it quick, polling
 * makes it sure: without NATS it takes a quarter of a second longer.
 */
export class CommandRunner {
  readonly #bus: Bus;
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #reports: Pick<Reports, "commandDone">;
  readonly #waiting = new Map<string, () => void>();
  #subscription: BusSubscription | undefined;

  constructor(deps: {
    bus: Bus;
    db: Database;
    clock: Clock;
    reports: Pick<Reports, "commandDone">;
  }) {
    this.#bus = deps.bus;
    this.#db = deps.db;
    this.#clock = deps.clock;
    this.#reports = deps.reports;
  }

  start(): void {
    this.#subscription = this.#bus.subscribe(ANY_COMMAND_DONE_POKE, ({ subject }) => {
      this.#waiting.get(subject.slice(subject.lastIndexOf(".") + 1))?.();
    });
  }

  async stop(): Promise<void> {
    await this.#subscription?.close();
  }

  /**
   * Stores a command in the caller's transaction. Throws NO_OWNER, which takes the transaction back,
   * when no live lease is there to carry it out. `queue`: commands of a named queue are carried out one by
   * one, beside those of the number itself.
   */
  async enqueue<Verb extends CommandVerb>(
    tx: Tx,
    number: { companyNo: number; numberNo: number },
    verb: Verb,
    args: CommandArgs<Verb>,
    options: { readonly deadlineMs?: number; readonly queue?: string } = {},
  ): Promise<QueuedCommand> {
    const { companyNo, numberNo } = number;
    const { deadlineMs = COMMANDS[verb].deadlineMs, queue } = options;
    const commandId = newCommandId();
    const { shardId, hasOwner, isPaused } = await enqueueCommand(tx, {
      commandId,
      companyNo,
      numberNo,
      verb,
      args,
      deadlineMs,
      traceparent: currentTraceparent(),
      queue,
    });
    if (!hasOwner) throw noOwner(isPaused);
    return { commandId, companyNo, verb, shardId, deadlineMs };
  }

  /**
   * After the commit: pokes the owner and waits. Throws the error that the owner stored, or
   * COMMAND_TIMEOUT at the deadline; from then on the owner refuses the command as dead.
   */
  async result(command: QueuedCommand): Promise<Record<string, unknown>> {
    const startedAt = this.#clock.monotonic();
    const deadline = startedAt + command.deadlineMs + GRACE_MS;
    this.#bus.poke(shardPoke(command.shardId));
    for (;;) {
      const row = await this.#waitForChange(command);
      const isLate = !row && this.#clock.monotonic() >= deadline;
      if (row || isLate) {
        const outcome = row ? row.state : "timeout";
        this.#reports.commandDone(command.verb, outcome, this.#clock.monotonic() - startedAt);
      }
      if (row) return this.#resultOf(row);
      if (isLate) throw new ManylineError("COMMAND_TIMEOUT");
    }
  }

  /** The row when it is finished, after at most one poll's time. */
  async #waitForChange(command: QueuedCommand): Promise<CommandRow | undefined> {
    const poked = Promise.withResolvers<void>();
    const cancel = this.#clock.setTimer(POLL_MS, poked.resolve);
    this.#waiting.set(command.commandId, poked.resolve);
    try {
      const row = await withCompany(this.#db, command.companyNo, (tx) =>
        getCommand(tx, command.commandId),
      );
      if (!row) throw new ManylineError("NUMBER_NOT_FOUND", { detail: "The number was removed." });
      if (["done", "failed", "dead"].includes(row.state)) return row;
      await poked.promise;
      return undefined;
    } finally {
      cancel();
      this.#waiting.delete(command.commandId);
    }
  }

  #resultOf(row: CommandRow): Record<string, unknown> {
    if (row.state === "done") return asRecord(row.result);
    if (row.state === "dead") throw new ManylineError("COMMAND_TIMEOUT");
    const { code, ...facts } = asRecord(row.error);
    if (typeof code !== "string" || !isErrorCode(code)) throw new ManylineError("INTERNAL");
    if (code === "RATE_LIMITED" && typeof facts["until"] === "string") {
      const until = new Date(facts["until"]);
      const wait = waitUntil(until, this.#clock.now(), this.#clock.timeScale);
      throw new ManylineError(code, { ...facts, ...wait });
    }
    throw new ManylineError(code, facts);
  }
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
