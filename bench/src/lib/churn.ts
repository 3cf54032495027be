/** What goes on around linked numbers all day: connections break, people write, programs answer. */
import { newLinkedMessageId, parseCompanyId, parseNumberId } from "@manyline/contracts";
import { enqueueMessage, openDatabase, withCompany, type Database } from "@manyline/db";
import type { SeededNumber } from "@manyline/local/testing";
import type { Ground } from "./ground.ts";

export type ChurnRates = {
  /** Each per second, over all numbers. */
  drops: number;
  inbound: number;
  outbound: number;
};

export type ChurnCounts = { drops: number; inbound: number; outbound: number };

const TICK_MS = 250;
/** Every number talks with so many people, always the same ones. */
const PEOPLE = 3;
const FIRST_CONTACT = 79_700_000_000;
/** How a connection ends, as the simulator's faults. */
const ENDS = [
  { kind: "drop" },
  { kind: "ws-close" },
  { kind: "xmlstreamend" },
  { kind: "stream-error", args: { code: 503 } },
  // Not an end: the number makes five keys more and uploads them.
  { kind: "pre-keys-low" },
];

export class Churn implements AsyncDisposable {
  readonly done: ChurnCounts = { drops: 0, inbound: 0, outbound: 0 };
  readonly #ground: Ground;
  readonly #rates: ChurnRates;
  readonly #app: Database;
  readonly #timer: NodeJS.Timeout;
  /** What is due, in parts of one. */
  readonly #due: ChurnCounts = { drops: 0, inbound: 0, outbound: 0 };
  readonly #running = new Set<Promise<void>>();
  #failure: unknown;

  constructor(ground: Ground, rates: ChurnRates) {
    this.#ground = ground;
    this.#rates = rates;
    this.#app = openDatabase({
      url: ground.database.urls.app,
      applicationName: "churn",
      poolSize: 4,
    });
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Begins nothing more; resolves when all that was begun is done. Throws what failed. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#running);
    if (this.#failure !== undefined) throw this.#failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await Promise.allSettled(this.#running);
    await this.#app.stop();
  }

  #tick(): void {
    const acts = {
      drops: () => this.#drop(),
      inbound: () => this.#write(),
      outbound: () => this.#send(),
    };
    for (const name of ["drops", "inbound", "outbound"] as const) {
      this.#due[name] += (this.#rates[name] * TICK_MS) / 1_000;
      for (; this.#due[name] >= 1; this.#due[name] -= 1) {
        const act = acts[name]()
          .catch((error: unknown) => {
            this.#failure ??= error;
          })
          .finally(() => this.#running.delete(act));
        this.#running.add(act);
        this.done[name] += 1;
      }
    }
  }

  async #drop(): Promise<void> {
    const { phone, deviceId } = pick(this.#ground.numbers);
    await this.#post("/faults", { ...pick(ENDS), phone, deviceId });
  }

  async #write(): Promise<void> {
    const number = pick(this.#ground.numbers);
    const text = `message ${this.done.inbound}, with some words as people write them`;
    await this.#post(`/phones/${contactOf(number)}/messages`, { to: number.phone, text });
  }

  /** As the gateway does; the owner finds it at its next look, within 2 s. */
  async #send(): Promise<void> {
    const number = pick(this.#ground.numbers);
    const { companyNo, numberNo, phone } = number;
    const [companyId, numberId] = [
      parseCompanyId(number.companyId),
      parseNumberId(number.numberId),
    ];
    if (companyId === undefined || numberId === undefined) throw new Error("a seeded id is none");
    await withCompany(this.#app, companyNo, (tx) =>
      enqueueMessage(tx, {
        companyNo,
        numberNo,
        companyId,
        numberId,
        provider: "linked",
        phone,
        service: "bench",
        to: { phone: contactOf(number) },
        type: "text",
        text: `answer ${this.done.outbound}`,
        providerMessageId: newLinkedMessageId(),
      }),
    );
  }

  async #post(path: string, body: unknown): Promise<void> {
    const response = await fetch(`${this.#ground.simulator.httpUrl}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const answer = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${answer}`);
  }
}

function contactOf({ numberNo }: SeededNumber): string {
  return String(FIRST_CONTACT + numberNo * PEOPLE + Math.floor(Math.random() * PEOPLE));
}

function pick<T>(list: readonly T[]): T {
  const item = list[Math.floor(Math.random() * list.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}
