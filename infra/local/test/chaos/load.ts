/** What goes on all the time: WhatsApp asks phones for pre-keys, which their owner then stores, and people press "reconnect". */
import { applyFault } from "@manyline/simulators";
import type { Fleet } from "../../src/testing/fleet.ts";
import type { Random } from "./random.ts";

const PRE_KEYS_EVERY_MS = 50;
const RECONNECT_EVERY_MS = 250;

export class Load implements AsyncDisposable {
  readonly #fleet: Fleet;
  readonly #random: Random;
  readonly #asked = new Set<Promise<void>>();
  #timers: NodeJS.Timeout[] = [];
  #preKeys = 0;
  /** HTTP status of a command → how often. */
  readonly answers = new Map<string, number>();

  constructor(fleet: Fleet, random: Random) {
    this.#fleet = fleet;
    this.#random = random;
  }

  /** How often a connected phone was told that it has few pre-keys left: each time it makes five. */
  get preKeyRequests(): number {
    return this.#preKeys;
  }

  start(): void {
    this.#timers = [
      setInterval(() => this.#askForPreKeys(), PRE_KEYS_EVERY_MS),
      setInterval(() => {
        const reconnect = this.#reconnect().finally(() => this.#asked.delete(reconnect));
        this.#asked.add(reconnect);
      }, RECONNECT_EVERY_MS),
    ];
  }

  /** Resolves when every command has its answer. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all(this.#asked);
  }

  /** A test that failed in the middle must not go on writing: its process would never end. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #askForPreKeys(): void {
    const { phone, deviceId } = this.#random.pick(this.#fleet.numbers);
    const { server } = this.#fleet.simulator;
    this.#preKeys += applyFault(server, { kind: "pre-keys-low", phone, deviceId }).affected;
  }

  async #reconnect(): Promise<void> {
    const { companyId, numberId } = this.#random.pick(this.#fleet.numbers);
    const path = `/api/whatsapp/sessions/${companyId}/reconnect?number=${numberId}`;
    const answer = await this.#fleet.rest("POST", path, {}).then(
      ({ status, body }) => (status === 202 ? "202" : `${status} ${String(body["code"])}`),
      () => "no answer",
    );
    this.answers.set(answer, (this.answers.get(answer) ?? 0) + 1);
  }
}
