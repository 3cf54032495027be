/** Compares, ten times a second, what REST says of every number with what the simulated WhatsApp knows. */
import type { Fleet } from "../../src/testing/fleet.ts";
import type { Traffic } from "./traffic.ts";

const EVERY_MS = 100;
/** What a status may lag behind. */
export const ALLOWED_MS = 2_000;
/** On a machine that is busy with other things everything takes longer, but not three times as long. */
export const LIMIT_MS = 3 * ALLOWED_MS;
/** Where there is no list of all numbers, so many are asked one by one. */
const SAMPLE = 10;
const PAGE = 500;

/** Numbers of these shards are without an owner because it was killed or frozen; `to` is open until they have one. */
export type Failover = { shardIds: ReadonlySet<number>; from: number; to: number | undefined };

export type Mismatch = {
  numberId: string;
  shardId: number;
  /** What REST said: a status and its reason. */
  told: string;
  from: number;
  to: number;
  /** The longest part of it outside of a failover. */
  ms: number;
};

type Told = { status: string; reason: string };
/** `to`: the last sample that showed it. */
type Running = { told: string; from: number; to: number };

export class StatusSampler {
  readonly #fleet: Fleet;
  readonly #traffic: Traffic;
  readonly #failovers: Failover[] = [];
  readonly #running = new Map<string, Running>();
  readonly #found: Mismatch[] = [];
  readonly #stop = new AbortController();
  #hasList: boolean | undefined;
  #next = 0;
  #samples = 0;
  #compared = 0;
  #lastAt: number | undefined;
  #longestPauseMs = 0;
  #done: Promise<void> = Promise.resolve();

  constructor(fleet: Fleet, traffic: Traffic) {
    this.#fleet = fleet;
    this.#traffic = traffic;
  }

  start(): void {
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  get figures(): string {
    const way = this.#hasList === true ? "GET /sessions" : `…/status of ${SAMPLE}`;
    return `${this.#samples} samples of ${way}, ${this.#compared} statuses, at most ${Math.round(this.#longestPauseMs)} ms apart`;
  }

  /** From now on, until `end` is called, these shards are allowed to have no owner. */
  failover(shardIds: Iterable<number>): { end: () => void } {
    const failover: Failover = {
      shardIds: new Set(shardIds),
      from: performance.now(),
      to: undefined,
    };
    this.#failovers.push(failover);
    return { end: () => (failover.to = performance.now()) };
  }

  /** Mismatches of more than 2 s, or another time, outside of a failover; those that go on now included. */
  mismatches(beyondMs = ALLOWED_MS): Mismatch[] {
    const open = this.#fleet.numbers.flatMap((number) => {
      const running = this.#running.get(number.numberId);
      return running ? [this.#judge(number, running)] : [];
    });
    return [...this.#found, ...open].filter(({ ms }) => ms > beyondMs);
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const begunAt = performance.now();
      try {
        await this.#sample();
      } catch {
        // The gateway, or what it needs, is down: nothing is told, so nothing wrong is told.
        this.#running.clear();
      }
      const rest = EVERY_MS - (performance.now() - begunAt);
      if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest));
    }
  }

  /**
   * The answer is of some moment between the question and its arrival. It is wrong only if it differs from what
   * the simulator knew at both: a slow gateway or a slow machine makes no mismatch, it makes fewer samples.
   */
  async #sample(): Promise<void> {
    const askedAt = performance.now();
    const { numbers } = this.#fleet;
    const before = new Set(numbers.filter((number) => this.#isConnected(number)));
    const told = await this.#read();
    const now = performance.now();
    this.#samples += 1;
    this.#compared += told.size;
    this.#longestPauseMs = Math.max(this.#longestPauseMs, now - (this.#lastAt ?? now));
    this.#lastAt = now;
    for (const number of numbers) {
      const one = told.get(number.numberId);
      if (!one) continue;
      const isTold = one.status === "connected";
      const isWrong = before.has(number) !== isTold && this.#isConnected(number) !== isTold;
      const running = this.#running.get(number.numberId);
      if (isWrong && running) running.to = askedAt;
      else if (isWrong) {
        const facts = `${one.status}/${one.reason}`;
        this.#running.set(number.numberId, { told: facts, from: now, to: now });
      } else if (running) {
        this.#running.delete(number.numberId);
        this.#found.push(this.#judge(number, running));
      }
    }
  }

  #isConnected(number: Fleet["numbers"][number]): boolean {
    return this.#traffic.labelOf(number) !== undefined;
  }

  #judge(number: Fleet["numbers"][number], { told, from, to }: Running): Mismatch {
    const { numberId, shardId } = number;
    let longest = 0;
    let begin = from;
    const failovers = this.#failovers
      .filter((one) => one.shardIds.has(shardId) && one.from < to && (one.to ?? to) > from)
      .toSorted((a, b) => a.from - b.from);
    for (const failover of failovers) {
      longest = Math.max(longest, failover.from - begin);
      begin = Math.max(begin, failover.to ?? to);
    }
    return { numberId, shardId, told, from, to, ms: Math.round(Math.max(longest, to - begin)) };
  }

  async #read(): Promise<Map<string, Told>> {
    this.#hasList ??=
      (await this.#fleet.rest("GET", "/api/whatsapp/sessions?limit=1")).status === 200;
    return this.#hasList ? this.#readAll() : this.#readSome();
  }

  async #readAll(): Promise<Map<string, Told>> {
    const told = new Map<string, Told>();
    let after: unknown;
    do {
      const query = typeof after === "string" ? `&after=${after}` : "";
      const path = `/api/whatsapp/sessions?limit=${PAGE}${query}`;
      const { status, body } = await this.#fleet.rest("GET", path);
      if (status !== 200 || !Array.isArray(body["sessions"])) throw new Error(`HTTP ${status}`);
      for (const session of body["sessions"] as Record<string, unknown>[]) {
        told.set(String(session["numberId"]), {
          status: String(session["status"]),
          reason: String(session["reason"]),
        });
      }
      after = body["next"];
    } while (typeof after === "string");
    return told;
  }

  async #readSome(): Promise<Map<string, Told>> {
    const { numbers } = this.#fleet;
    const some = Array.from({ length: SAMPLE }, () => numbers[this.#next++ % numbers.length]);
    const told = some.map(async (number) => {
      const path = `/api/whatsapp/sessions/${number?.companyId}/status?number=${number?.numberId}`;
      const { status, body } = await this.#fleet.rest("GET", path);
      if (status !== 200) throw new Error(`HTTP ${status}`);
      const facts = { status: String(body["status"]), reason: String(body["reason"]) };
      return [number?.numberId ?? "", facts] as const;
    });
    return new Map(await Promise.all(told));
  }
}
