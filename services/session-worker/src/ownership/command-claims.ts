/**
 * Claims commands for the numbers of the worker, and remembers which ones it gave to them: what is claimed in the
 * database and not remembered here was claimed by a call whose answer got lost, and is claimed again.
 */
import { claimCommands, recoverCommands, type CommandRow } from "@manyline/db";
import type { WorkerContext } from "../numbers/context.ts";

/** A claim walks over all numbers with open commands, so few large ones are better than many small ones. */
const COMMANDS_AT_ONCE = 500;
/** Of one number; the rest of its backlog stays in the database. */
const COMMANDS_PER_NUMBER = 16;
/** A claim that failed may still be running in Postgres; longer than any statement may take. */
const DOUBT_MS = 20_000;
/** Clocks may differ by so much; past its deadline a command is not claimed any more. */
const CLOCKS_MS = 60_000;

export class CommandClaims {
  readonly #context: WorkerContext;
  /** Ends of the deadlines of commands that were given to their numbers, by id. */
  readonly #given = new Map<string, number>();
  #doubtUntil: number | undefined;

  constructor(context: WorkerContext) {
    this.#context = context;
  }

  /** Claims may have been made that nobody heard of, or (in `ms`) may still be made. */
  noteDoubt(ms = DOUBT_MS): void {
    const until = this.#context.clock.monotonic() + ms;
    this.#doubtUntil = Math.max(until, this.#doubtUntil ?? until);
  }

  /** Claims once. `give` hands a command to its number. Resolves with whether there may be more. */
  async run(shardIds: number[], give: (command: CommandRow) => Promise<void>): Promise<boolean> {
    const { db } = this.#context;
    const owner = { workerId: this.#context.workerId(), shardIds };
    try {
      await this.#recover(owner);
      const limits = { limit: COMMANDS_AT_ONCE, perNumber: COMMANDS_PER_NUMBER };
      const commands = await claimCommands(db, owner, limits);
      for (const command of commands) {
        await give(command);
        this.#given.set(command.commandId, command.deadlineAt.getTime() + CLOCKS_MS);
      }
      return commands.length >= COMMANDS_AT_ONCE;
    } catch (error) {
      // The claim may have been committed all the same, or not all of it was handed on.
      this.noteDoubt();
      throw error;
    }
  }

  async #recover(owner: { workerId: string; shardIds: number[] }): Promise<void> {
    const now = this.#context.clock.now().getTime();
    for (const [commandId, until] of this.#given) if (until < now) this.#given.delete(commandId);
    if (this.#doubtUntil === undefined) return;
    const count = await recoverCommands(this.#context.db, owner, [...this.#given.keys()]);
    if (this.#context.clock.monotonic() >= this.#doubtUntil) this.#doubtUntil = undefined;
    if (count > 0) {
      this.#context.logger.info({ event: "commands.recovered", count }, "recovered");
    }
  }
}
