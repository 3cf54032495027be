/** Whose signature counts: the app of all, or a company's own. */
import { isUnavailable, readMetaApp } from "@manyline/db";
import type { Database, Keyring, MetaApp } from "@manyline/db";
import type { Clock } from "@manyline/runtime";

export type App = {
  secrets: readonly string[];
  verifyToken: string | undefined;
  /** Undefined: the app that serves all. */
  company: { companyNo: number; companyId: string } | undefined;
};

/** So long a company's app is believed to be as it was read. */
const FRESH_MS = 30_000;
/** A signature that does not fit may be of a new secret: so often at most that is looked up. */
const RELOAD_MS = 2_000;
const MOST = 10_000;

type Known = { app: App | undefined; readAt: number };

/** Companies' own apps, read when they are needed and kept for a while. */
export class CompanyApps {
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

  /**
   * The company's app; undefined: it has none, or there is no such company. While Postgres is away what was
   * known goes on counting; rejects when nothing is known.
   */
  async find(companyId: string): Promise<App | undefined> {
    const known = this.#known.get(companyId);
    if (known && this.#age(known) < FRESH_MS) return known.app;
    try {
      return (await this.#read(companyId)).app;
    } catch (error) {
      if (known && isUnavailable(error)) return known.app;
      throw error;
    }
  }

  /** Like `find`, for a signature that did not fit; undefined: nothing newer is to be had. */
  async reload(companyId: string): Promise<App | undefined> {
    const known = this.#known.get(companyId);
    if (known && this.#age(known) < RELOAD_MS) return undefined;
    return (await this.#read(companyId)).app;
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
    const app = await readMetaApp(this.#db, this.#keyring, companyId);
    const known = { app: app && appOf(app), readAt: this.#clock.monotonic() };
    this.#known.delete(companyId);
    this.#known.set(companyId, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MOST && oldest !== undefined) this.#known.delete(oldest);
    return known;
  }
}

function appOf({ companyNo, companyId, secrets, verifyToken }: MetaApp): App {
  return { secrets, verifyToken, company: { companyNo, companyId } };
}
