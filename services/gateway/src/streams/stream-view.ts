import { readStatus } from "@manyline/db";
import type { Executor, StatusRow, StoredEvent } from "@manyline/db";
import { hasScope } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { statusAnswer, statusWithoutNumber } from "../domain/answers.ts";
import { companyRow, findNumber } from "../numbers.ts";
import type { Principal, Tenant } from "../request-types.ts";
import { withAttemptSecret, withEventSecret } from "./secrets.ts";
import type { SseMessage } from "./sse.ts";

export type StreamRequest = {
  readonly tenant: Tenant;
  readonly principal: Principal;
  /** Null: all numbers of the company. */
  readonly numberNo: number | null;
  readonly lastEventId: string | undefined;
  /** Repeats what was written after this time; only without `lastEventId`. */
  readonly since?: Date | undefined;
};

/** What a stream without `read` is told about: the linking of phones, no messages. */
const PAIRING_FAMILIES = new Set(["session", "pairing", "number", "company"]);

/** What one reader is told. Only reads: sending is done when the transaction is over. */
export class StreamView {
  readonly #keyring: Deps["keyring"];
  readonly #request: StreamRequest;
  readonly #now: () => Date;

  constructor(keyring: Deps["keyring"], request: StreamRequest, now: () => Date) {
    this.#keyring = keyring;
    this.#request = request;
    this.#now = now;
  }

  /** An event, with QR or code for who may see them; undefined when it is not for this reader. */
  async event(tx: Executor, event: StoredEvent): Promise<SseMessage | undefined> {
    const { principal } = this.#request;
    const family = event.type.slice(0, event.type.indexOf("."));
    if (!PAIRING_FAMILIES.has(family) && !hasScope(principal, "read")) return undefined;
    const data = hasScope(principal, "pair")
      ? await withEventSecret(tx, this.#vault(), event)
      : event.envelope.data;
    return {
      id: event.eventId,
      event: event.type,
      data: {
        ...event.envelope,
        data,
        loggedAt: event.createdAt.toISOString(),
        serverTime: this.#now().toISOString(),
      },
    };
  }

  /** The status answer as a message, and the number it is about. */
  async snapshot(
    tx: Executor,
  ): Promise<{ message: SseMessage; number: StatusRow["number"] | undefined }> {
    const row = await this.#status(tx);
    const answer = row
      ? statusAnswer(row)
      : statusWithoutNumber(await companyRow(tx, this.#request.tenant), this.#now());
    const mayPair = hasScope(this.#request.principal, "pair");
    const data = mayPair ? await withAttemptSecret(tx, this.#vault(), answer) : answer;
    return { message: { event: "snapshot", data }, number: row?.number };
  }

  async #status(tx: Executor): Promise<StatusRow | undefined> {
    const { tenant, principal, numberNo } = this.#request;
    if (numberNo !== null) return readStatus(tx, tenant.companyNo, numberNo);
    const primary = await findNumber(tx, tenant, principal, undefined);
    return primary && readStatus(tx, tenant.companyNo, primary.numberNo);
  }

  #vault(): Parameters<typeof withEventSecret>[1] {
    return { keyring: this.#keyring, companyNo: this.#request.tenant.companyNo };
  }
}
