/** What goes wrong at a sink, on demand: each fault is taken by the next that come, `count` times. */
export type SinkFault = {
  channel: "smtp" | "sms";
  /**
   * refuse: an answer with `status` (and Twilio's `code`). drop: the connection ends without an answer. hang: no
   * answer at all. late: an answer after `delayMs`. take_and_drop, take_and_hang: it is kept, and the connection ends,
   * or stays, without an answer.
   */
  effect: "refuse" | "drop" | "hang" | "late" | "take_and_drop" | "take_and_hang";
  status?: number;
  code?: number;
  delayMs?: number;
  /** Default 1; `Infinity` is written as 0. */
  count?: number;
};

export class SinkFaults {
  #faults: { fault: SinkFault; left: number }[] = [];

  add(fault: SinkFault): void {
    const { count = 1 } = fault;
    this.#faults.push({ fault, left: count === 0 ? Infinity : count });
  }

  clear(): void {
    this.#faults = [];
  }

  take(channel: SinkFault["channel"]): SinkFault | undefined {
    const found = this.#faults.find(({ fault }) => fault.channel === channel);
    if (!found) return undefined;
    found.left -= 1;
    if (found.left <= 0) this.#faults = this.#faults.filter((one) => one !== found);
    return found.fault;
  }
}
