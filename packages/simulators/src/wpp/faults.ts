/** What goes wrong on purpose. */
import type { WppAnswer } from "./http.ts";

export type WppEffect =
  /** An answer instead of the real one; nothing is done. */
  | { answer: WppAnswer }
  | { delayMs: number }
  /** No answer: `before` the call has done anything, or `after`. */
  | { cut: "before" | "after" };

export type WppFault = {
  /** The call, e.g. `create`, `token`, `start`, `text`; default: any. */
  call?: string;
  session?: string;
  effect: WppEffect;
  /** Default: always. */
  next?: number;
};

export class Faults {
  readonly #armed: { fault: WppFault; left: number }[] = [];

  add(fault: WppFault): void {
    this.#armed.push({ fault, left: fault.next ?? Infinity });
  }

  clear(): void {
    this.#armed.length = 0;
  }

  /** The effects that a call meets. */
  meet(call: string, session: string | null): WppEffect[] {
    return this.#armed.flatMap((armed) => {
      const { fault } = armed;
      const fits =
        (fault.call === undefined || fault.call === call) &&
        (fault.session === undefined || fault.session === session);
      if (!fits || armed.left <= 0) return [];
      armed.left -= 1;
      return [fault.effect];
    });
  }
}
