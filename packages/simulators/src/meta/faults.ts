/** What goes wrong on purpose. */
import type { GraphErrorInput } from "./errors.ts";

export type FaultMatch = {
  /** Of the number that is sent with. */
  phoneNumberId?: string;
  /** Digits of the recipient. */
  to?: string;
  /** Default: any. `messages` is sending, `webhook` is what comes of it. */
  part?: "messages" | "media" | "other";
};

export type FaultEffect =
  /** An answer instead of the real one. */
  | { error: GraphErrorInput }
  /** Taken, and said to have failed afterwards, in a status. */
  | { failed: { code: number; details?: string } }
  /** The answer comes late. */
  | { delayMs: number }
  /** No answer: `before` the call has done anything, or `after`. */
  | { cut: "before" | "after" };

export type Fault = FaultMatch & {
  effect: FaultEffect;
  /** Default: always. */
  when?: { next: number } | { every: number };
};

type Armed = { id: number; fault: Fault; met: number; left: number };

export class Faults {
  readonly #armed: Armed[] = [];
  #last = 0;

  /** Returns a number by which it can be taken back. */
  add(fault: Fault): number {
    this.#last += 1;
    const left = fault.when && "next" in fault.when ? fault.when.next : Infinity;
    this.#armed.push({ id: this.#last, fault, met: 0, left });
    return this.#last;
  }

  remove(id: number): void {
    const at = this.#armed.findIndex((one) => one.id === id);
    if (at >= 0) this.#armed.splice(at, 1);
  }

  clear(): void {
    this.#armed.length = 0;
  }

  list(): readonly { id: number; fault: Fault }[] {
    return this.#armed.map(({ id, fault }) => ({ id, fault }));
  }

  /** The effects that a call meets. */
  meet(call: Required<Pick<FaultMatch, "part">> & FaultMatch): FaultEffect[] {
    return this.#armed.flatMap((armed) => {
      const { fault } = armed;
      const fits =
        (fault.phoneNumberId === undefined || fault.phoneNumberId === call.phoneNumberId) &&
        (fault.to === undefined || fault.to === call.to) &&
        (fault.part === undefined || fault.part === call.part);
      if (!fits || armed.left <= 0) return [];
      armed.met += 1;
      const { when } = fault;
      if (when && "every" in when && armed.met % when.every !== 0) return [];
      armed.left -= 1;
      return [fault.effect];
    });
  }
}
