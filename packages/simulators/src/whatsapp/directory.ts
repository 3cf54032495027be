import type { Account } from "./account.ts";
import { LID_SERVER, parseJid } from "./jid.ts";

/** All accounts, by phone number and by LID. */
export class Directory {
  readonly #byPhone = new Map<string, Account>();
  readonly #byLid = new Map<string, Account>();

  add(account: Account): void {
    this.#byPhone.set(account.phone, account);
    this.#byLid.set(account.lid, account);
  }

  get(phone: string): Account | undefined {
    return this.#byPhone.get(phone);
  }

  find(jid: string): Account | undefined {
    const { user, server } = parseJid(jid);
    return server === LID_SERVER ? this.#byLid.get(user) : this.#byPhone.get(user);
  }

  get size(): number {
    return this.#byPhone.size;
  }

  all(): IterableIterator<Account> {
    return this.#byPhone.values();
  }
}
