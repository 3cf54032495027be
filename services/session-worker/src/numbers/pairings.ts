/** The pairing attempts of one number, one at a time: who may begin one, joins it, or takes its place. */
import { parsePhone, type ErrorCode, type Phone } from "@manyline/contracts";
import {
  checkPairingCode,
  isPhoneLinkedElsewhere,
  type CommandRow,
  type OwnedNumber,
} from "@manyline/db";
import { answerCodeRequest, answerQrRequest } from "../domain/pairing-machine.ts";
import type { WorkerContext } from "./context.ts";
import type { NumberJournal } from "./journal.ts";
import { phoneHash, tellLimited } from "./pairing-limits.ts";
import { PairingRunner } from "./pairing-runner.ts";
import type { SerialQueue } from "./serial-queue.ts";
import type { SessionKeeper } from "./session-keeper.ts";

/** What an attempt needs of the number whose it is. */
export type PairingsParts = {
  context: WorkerContext;
  number: () => OwnedNumber;
  journal: NumberJournal;
  queue: SerialQueue;
  signal: AbortSignal;
  keeper: SessionKeeper;
  /** Works towards what a person wishes. */
  settle: () => Promise<void>;
  done: (command: CommandRow, result: object) => Promise<void>;
  refuse: (command: CommandRow, code: ErrorCode) => Promise<void>;
  /** In the number's queue. */
  run: (what: string, task: () => Promise<unknown>) => Promise<void>;
};

/** A person wants the number connected. */
export function isWanted(number: OwnedNumber): boolean {
  return number.companyEnabled && number.desiredState === "connected";
}

/** All of it runs in the number's queue. */
export class Pairings {
  readonly #parts: PairingsParts;
  #runner: PairingRunner | undefined;

  constructor(parts: PairingsParts) {
    this.#parts = parts;
  }

  /** The attempt that is under way. */
  get running(): PairingRunner | undefined {
    return this.#runner;
  }

  /** Whom a switch to a code asks: the number's own phone; the company's only for the primary. */
  get fallbackPhone(): Phone | null {
    const { phone, isPrimary, companyPhone } = this.#parts.number();
    return (phone ?? (isPrimary ? companyPhone : null)) as Phone | null;
  }

  noteChanged(): void {
    this.#runner?.changeFallback(this.fallbackPhone);
  }

  /** Lets go at once and writes nothing. */
  abandon(): void {
    this.#runner?.abandon();
    this.#runner = undefined;
  }

  async byQr(command: CommandRow): Promise<void> {
    const obstacle = this.#obstacle();
    if (obstacle) return this.#parts.refuse(command, obstacle);
    if (this.#runner) {
      if (answerQrRequest(this.#runner.attempt) === "join") {
        return this.#parts.done(command, { attemptId: this.#runner.attemptId });
      }
      await this.#runner.stop("replaced");
    }
    const runner = this.#begin("qr", this.fallbackPhone);
    return this.#launch(runner, command.commandId);
  }

  /** Why no attempt may begin now. */
  #obstacle(): ErrorCode | undefined {
    if (this.#parts.number().provider !== "linked") return "PROVIDER_NOT_SUPPORTED";
    if (!this.#parts.number().companyEnabled) return "COMPANY_DISABLED";
    if (!isWanted(this.#parts.number())) return "NUMBER_DISABLED";
    if (this.#parts.keeper.isOpen) return "ALREADY_CONNECTED";
    return this.#runner?.isLinked ? "REQUEST_IN_PROGRESS" : undefined;
  }

  async #launch(runner: PairingRunner, finishes: string | undefined): Promise<void> {
    try {
      await runner.start(finishes);
    } catch (error) {
      // Without its row the attempt does not exist.
      runner.abandon();
      if (this.#runner === runner) this.#runner = undefined;
      throw error;
    }
  }

  async byCode(command: CommandRow): Promise<void> {
    const given: unknown = command.args["phone"];
    const phone = typeof given === "string" ? parsePhone(`+${given}`) : undefined;
    if (phone === undefined) return this.#parts.refuse(command, "INVALID_PHONE_FORMAT");
    const obstacle = this.#obstacle();
    if (obstacle) return this.#parts.refuse(command, obstacle);
    const { companyNo, numberNo } = this.#parts.number();
    if (await isPhoneLinkedElsewhere(this.#parts.context.db, companyNo, numberNo, phone)) {
      return this.#parts.refuse(command, "PHONE_ALREADY_LINKED");
    }
    const waiting = { commandId: command.commandId, deadlineAt: command.deadlineAt };
    const answer = this.#runner ? answerCodeRequest(this.#runner.attempt, phone) : "replace";
    if (answer === "join") return this.#runner?.join(waiting);
    if (answer === "refuse") return this.#parts.refuse(command, "REQUEST_IN_PROGRESS");
    // Refused before anything is touched: the running attempt goes on.
    const limit = await checkPairingCode(this.#parts.context.db, {
      companyNo,
      phoneHash: phoneHash(this.#parts.context, phone),
      limits: this.#parts.context.limits,
    });
    if (!limit.allowed && limit.until) {
      const { until } = limit;
      await tellLimited(this.#parts.context, this.#parts.journal, command.commandId, {
        ...limit,
        until,
      });
      if (limit.cooldownStarted) this.#parts.context.onBlocked(companyNo, until);
      return undefined;
    }
    await this.#runner?.stop("replaced");
    const runner = this.#begin("code", phone);
    await runner.join(waiting);
    return this.#launch(runner, undefined);
  }

  /** A number that is linked but not connected stands back while a person links it anew. */
  #begin(method: "qr" | "code", phone: Phone | null): PairingRunner {
    if (!this.#parts.keeper.resting) this.#parts.keeper.pause();
    const runner: PairingRunner = new PairingRunner(
      {
        context: this.#parts.context,
        number: this.#parts.number(),
        journal: this.#parts.journal,
        queue: this.#parts.queue,
        signal: this.#parts.signal,
        resting: () => this.#parts.keeper.resting,
        onEnded: (linked) => {
          // A linked one stays until its connection is closed: nothing else may begin before the login.
          if (linked) this.#parts.keeper.noteLinked();
          else
            this.#endOf(
              runner,
              () => isWanted(this.#parts.number()) && this.#parts.keeper.resume(),
            );
        },
        onLinkClosed: () => this.#endOf(runner, () => this.#parts.settle()),
      },
      method,
      phone,
    );
    this.#runner = runner;
    return runner;
  }

  #endOf(runner: PairingRunner, next: () => unknown): void {
    if (this.#runner !== runner) return;
    this.#runner = undefined;
    void this.#parts.run("after pairing", async () => {
      // Replaced by another attempt in the same breath: that one goes on.
      if (!this.#runner) await next();
    });
  }
}
