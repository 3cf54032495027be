/** People who write, and statuses of messages: told by the simulated Meta, and remembered. */
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "./random.ts";
import type { Line, WebhookGround } from "./webhook-ground.ts";

const STATES = ["sent", "delivered", "read"] as const;
const PEOPLE = 30;
/** Between two messages, ms. */
const EVERY_MS = 20;

export type Written = { id: string; line: Line; text: string };
export type Told = { id: string; line: Line };

export class WebhookLoad implements AsyncDisposable {
  /** What people wrote. */
  readonly written: Written[] = [];
  /** Messages of which all states were told, in some order. */
  readonly told: Told[] = [];
  readonly #ground: WebhookGround;
  readonly #random: Random;
  #writing: Promise<void> | undefined;
  #isOver = false;

  constructor(ground: WebhookGround, random: Random) {
    this.#ground = ground;
    this.#random = random;
  }

  start(): void {
    this.#writing ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#writing;
  }

  /** A test that failed in the middle must not go on writing: its process would never end. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      this.#write(this.#random.pick(this.#ground.lines));
      await delay(EVERY_MS);
    }
  }

  #write(line: Line): void {
    const { meta } = this.#ground;
    const place = Math.floor(this.#random.between(0, PEOPLE));
    const phone = `4917000${String(place).padStart(5, "0")}`;
    const text = `${line.companyId ?? "nobody"} ${this.written.length} — ✓`;
    this.written.push({ id: meta.say(line.number.id, phone, text), line, text });
    const person = meta.world.people.get(phone);
    if (!person) throw new Error("somebody wrote who is not there");
    const id = `wamid.out.${this.told.length}`;
    for (const status of this.#random.shuffled([...STATES])) {
      meta.webhooks.status(line.number, person, {
        id,
        status,
        isToPhone: true,
        category: "marketing",
      });
    }
    this.told.push({ id, line });
  }
}
