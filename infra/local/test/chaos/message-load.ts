/** People write to the numbers, and programs let the numbers write to people: each with a client that does not give up. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Fleet, SimulatedWhatsApp } from "../../src/testing/fleet.ts";
import type { Accepted, Shown, Written } from "./message-judge.ts";
import type { Random } from "./random.ts";

type Number = Fleet["numbers"][number];

/** One number and one person, who write to each other. */
export type Conversation = { name: string; number: Number; contact: string };

/** Every number talks with so many people of its company, who talk with several of its numbers. */
const PEOPLE_OF_NUMBER = 2;
const PEOPLE_OF_COMPANY = 4;
const FIRST_CONTACT = 79_620_000_000;
const ANSWER_MS = 10_000;
const SIMULATOR_MS = 60_000;
/** Between two tries; doubles with each. */
const PAUSE_MS = { first: 200, most: 2_000 };
/** So long a client tries the same request. */
const PATIENCE_MS = 180_000;

export class MessageLoad {
  readonly conversations: readonly Conversation[];
  /** In the order of each conversation. */
  readonly written: Written[] = [];
  readonly accepted: Accepted[] = [];
  /** Requests that had no answer, or none that counts, and were sent once more with their key. */
  retries = 0;
  /** Answers that told of an earlier request: its answer had been lost. */
  repeatedAnswers = 0;
  readonly #fleet: Fleet<SimulatedWhatsApp>;
  readonly #random: Random;
  /** By conversation and direction: the end of what is under way. */
  readonly #lanes = new Map<string, Promise<void>>();
  readonly #steady: { timer?: NodeJS.Timeout } = {};
  #count = 0;
  #failure: unknown;

  private constructor(fleet: Fleet<SimulatedWhatsApp>, random: Random) {
    this.#fleet = fleet;
    this.#random = random;
    this.conversations = fleet.numbers.flatMap((number, at) =>
      Array.from({ length: PEOPLE_OF_NUMBER }, (_, nth) => {
        const person = (at + nth) % PEOPLE_OF_COMPANY;
        const contact = String(FIRST_CONTACT + number.companyNo * PEOPLE_OF_COMPANY + person);
        return { name: `${number.numberNo}/${contact.slice(-4)}`, number, contact };
      }),
    );
  }

  /** Half of the numbers know people by LID, half by phone; and half of the people write to a LID, half to a phone. */
  static async open(fleet: Fleet<SimulatedWhatsApp>, random: Random): Promise<MessageLoad> {
    const load = new MessageLoad(fleet, random);
    const contacts = new Set(load.conversations.map(({ contact }) => contact));
    for (const phones of [fleet.numbers.map(({ phone }) => phone), contacts]) {
      let addressing = "pn";
      for (const phone of phones) {
        addressing = addressing === "pn" ? "lid" : "pn";
        await load.#simulator("PUT", `/phones/${phone}`, { options: { addressing } });
      }
    }
    return load;
  }

  /** That many messages each way, in conversations drawn by chance; some follow each other closely in one. */
  burst(inbound: number, outbound: number): void {
    this.#spread(inbound, "in", (conversation) => this.#write(conversation));
    this.#spread(outbound, "out", (conversation) => this.#send(conversation));
  }

  /** `each` messages both ways every `everyMs`, until `finish`. */
  keepWriting(each: number, everyMs: number): void {
    this.#steady.timer = setInterval(() => this.burst(each, each), everyMs);
  }

  stop(): void {
    clearInterval(this.#steady.timer);
  }

  /** Resolves when everything that was begun was taken. Throws what cannot be taken. */
  async finish(): Promise<void> {
    this.stop();
    await Promise.all(this.#lanes.values());
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** What the people's phones show of what the numbers wrote, each phone in the order of arrival. */
  async shown(): Promise<Shown[]> {
    const names = new Map(
      this.conversations.map(({ name, number, contact }) => [`${contact} ${number.phone}`, name]),
    );
    const contacts = new Set(this.conversations.map(({ contact }) => contact));
    const shown: Shown[] = [];
    for (const contact of contacts) {
      const answer = await this.#simulator("GET", `/phones/${contact}/messages`);
      const received = answer["received"] as (Shown & { fromMe: boolean })[];
      shown.push(
        ...received.map(({ chat, id, text, copies }) => ({
          chat: names.get(`${contact} ${chat}`) ?? chat,
          id,
          text,
          copies,
        })),
      );
    }
    return shown;
  }

  /** Counts of the simulated WhatsApp. */
  stats(): Promise<Record<string, unknown>> {
    return this.#simulator("GET", "/stats");
  }

  /** What connections went on to send after a newer login of their device. */
  async lateStanzas(): Promise<number> {
    const summary = await this.#simulator("GET", "/record/summary");
    return Number(summary["lateStanzas"]);
  }

  #spread(
    count: number,
    direction: "in" | "out",
    act: (conversation: Conversation) => Promise<void>,
  ): void {
    let conversation = this.#random.pick(this.conversations);
    for (let nth = 0; nth < count; nth += 1) {
      if (this.#random.next() < 0.5) conversation = this.#random.pick(this.conversations);
      const lane = `${direction} ${conversation.name}`;
      const chosen = conversation;
      const before = this.#lanes.get(lane) ?? Promise.resolve();
      this.#lanes.set(
        lane,
        before
          .then(() => act(chosen))
          .catch((error: unknown) => {
            this.#failure ??= error;
          }),
      );
    }
  }

  async #write({ name, number, contact }: Conversation): Promise<void> {
    const text = `in ${(this.#count += 1)} ${name}`;
    const to = number.phone;
    const { id } = await this.#simulator("POST", `/phones/${contact}/messages`, { to, text });
    this.written.push({ chat: name, id: String(id), text });
  }

  async #send({ name, number, contact }: Conversation): Promise<void> {
    const text = `out ${(this.#count += 1)} ${name}`;
    const messageId = await this.#post(number, { to: `+${contact}`, type: "text", text });
    this.accepted.push({ chat: name, messageId, text });
  }

  /** As a good client does: the same body with the same key, until there is an answer. */
  async #post(number: Number, body: Record<string, string>): Promise<string> {
    const { adminToken } = this.#fleet;
    const path = `/api/whatsapp/sessions/${number.companyId}/messages?number=${number.numberId}`;
    const request = {
      method: "POST",
      headers: {
        authorization: `Bearer ${adminToken}`,
        "content-type": "application/json",
        "idempotency-key": randomUUID(),
      },
      body: JSON.stringify(body),
    };
    const endsAt = performance.now() + PATIENCE_MS;
    for (let pauseMs = PAUSE_MS.first; ; pauseMs = Math.min(PAUSE_MS.most, 2 * pauseMs)) {
      const answer = await ask(`${this.#fleet.gatewayUrl}${path}`, request);
      if (answer?.status === 202) {
        if (answer.body["isRepeated"] === true) this.repeatedAnswers += 1;
        return String(answer.body["messageId"]);
      }
      const told = answer ? `${answer.status} ${JSON.stringify(answer.body)}` : "no answer";
      if ((answer && answer.status < 500) || performance.now() > endsAt) {
        throw new Error(`a message was not accepted: ${told}`);
      }
      this.retries += 1;
      await delay(this.#random.between(pauseMs / 2, pauseMs));
    }
  }

  async #simulator(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    const answer = await ask(`${this.#fleet.simulator.httpUrl}${path}`, {
      method,
      signal: AbortSignal.timeout(SIMULATOR_MS),
      // A kept connection may be closed under a request, which cannot be repeated: it would write twice.
      headers: { "content-type": "application/json", connection: "close" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (answer?.status !== 200) throw new Error(`${method} ${path}: ${answer?.status ?? "none"}`);
    return answer.body;
  }
}

/** undefined: no answer, or only a part of one. */
async function ask(
  url: string,
  request: RequestInit,
): Promise<{ status: number; body: Record<string, unknown> } | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS), ...request });
    const body = (await response.json()) as Record<string, unknown>;
    return { status: response.status, body };
  } catch {
    return undefined;
  }
}
