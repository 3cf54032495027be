/** What is known of companies' flows: kept for a while, and all that counts while Postgres is away. */
import type { KeyObject } from "node:crypto";
import { flowPrivateKey } from "@manyline/contracts/flows";
import {
  type Database,
  type FlowDesk,
  isUnavailable,
  type Keyring,
  readFlowDesk,
} from "@manyline/db";
import type { Clock } from "@manyline/runtime";

/** As long as this it is believed to be as it was read: a key that was ended early answers no longer than that. */
const FRESH_MS = 10_000;
/** What does not open may be for a new key: so often at most that is looked up. */
const RELOAD_MS = 1_000;
const MOST = 10_000;

export type Desk = Omit<FlowDesk, "keys"> & { keys: DeskKey[] };
type DeskKey = { flowKeyId: string; key: KeyObject; retiresAt: Date | null };
type Known = { desk: Desk | undefined; readAt: number };

export class FlowDesks {
  readonly #db: Database;
  readonly #keyring: Keyring;
  readonly #clock: Clock;
  /** The oldest first. */
  readonly #known = new Map<string, Known>();
  readonly #reading = new Map<string, Promise<Known>>();

  constructor({ db, keyring, clock }: { db: Database; keyring: Keyring; clock: Clock }) {
    this.#db = db;
    this.#keyring = keyring;
    this.#clock = clock;
  }

  /** Undefined: there is no such company. Rejects when Postgres is away and nothing is known. */
  async find(companyId: string): Promise<Desk | undefined> {
    const known = this.#known.get(companyId);
    if (known && this.#age(known) < FRESH_MS) return this.#living(known);
    try {
      return this.#living(await this.#read(companyId));
    } catch (error) {
      if (known?.desk && isUnavailable(error)) return this.#living(known);
      throw error;
    }
  }

  /** Like `find`, for what did not open; undefined: nothing newer is to be had. Rejects while Postgres is away. */
  async reload(companyId: string): Promise<Desk | undefined> {
    const known = this.#known.get(companyId);
    if (known && this.#age(known) < RELOAD_MS) return undefined;
    return this.#living(await this.#read(companyId));
  }

  /** Without the keys whose time is over. */
  #living({ desk }: Known): Desk | undefined {
    const now = this.#clock.now();
    const keys = desk?.keys.filter(({ retiresAt }) => retiresAt === null || retiresAt > now);
    return desk && keys && { ...desk, keys };
  }

  #age({ readAt }: Known): number {
    return this.#clock.monotonic() - readAt;
  }

  /** Those who ask at the same time share one answer. */
  #read(companyId: string): Promise<Known> {
    const running = this.#reading.get(companyId);
    if (running) return running;
    const reading = this.#readNow(companyId).finally(() => this.#reading.delete(companyId));
    this.#reading.set(companyId, reading);
    return reading;
  }

  async #readNow(companyId: string): Promise<Known> {
    const found = await readFlowDesk(this.#db, this.#keyring, companyId);
    const desk = found && {
      ...found,
      keys: found.keys.map(({ flowKeyId, privateKey, retiresAt }) => ({
        flowKeyId,
        retiresAt,
        key: flowPrivateKey(privateKey),
      })),
    };
    const known = { desk, readAt: this.#clock.monotonic() };
    this.#known.delete(companyId);
    this.#known.set(companyId, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MOST && oldest !== undefined) this.#known.delete(oldest);
    return known;
  }
}
