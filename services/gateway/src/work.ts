import { makeEvent } from "@manyline/contracts";
import type { CompanyId, EventData, EventDefinition, EventId } from "@manyline/contracts";
import { appendEvents, audit, inTransaction, withCompany } from "@manyline/db";
import type { AuditInput, EventInput, StoredEvent, Tx } from "@manyline/db";
import { currentTraceparent } from "@manyline/runtime";
import type { FastifyRequest } from "fastify";
import type { Deps } from "./deps.ts";
import { principalOf, tenantOf } from "./auth.ts";
import { numberIdOf } from "./domain/ids.ts";
import type { NumberKeys } from "./request-types.ts";

/** The company, and the number if it is about one, that an event tells about. */
export type Subject = {
  readonly companyNo: number;
  readonly companyId: CompanyId;
  readonly number?: NumberKeys;
};

/** A transaction in which facts, their events and their audit entries commit together. */
export type Work = {
  readonly tx: Tx;
  /** Returns the event's id. */
  readonly emit: <Definition extends EventDefinition>(
    definition: Definition,
    subject: Subject,
    data: EventData<Definition>,
  ) => EventId;
  /** Notes what the person did. `details` hold no secrets and no whole phones. */
  readonly note: (action: string, target: string | null, details?: Record<string, unknown>) => void;
};

type WorkDeps = Pick<Deps, "appDb" | "platformDb" | "relay" | "clock">;

/** Work inside the request's company, under its row security. */
export function companyWork<T>(
  deps: WorkDeps,
  request: FastifyRequest,
  work: (work: Work) => Promise<T>,
): Promise<T> {
  const { companyNo } = tenantOf(request);
  return run(deps, request, companyNo, work, (body) => withCompany(deps.appDb, companyNo, body));
}

/** The operator's work across companies; its notes go into the common chain. */
export function operatorWork<T>(
  deps: WorkDeps,
  request: FastifyRequest,
  work: (work: Work) => Promise<T>,
): Promise<T> {
  return run(deps, request, null, work, (body) => inTransaction(deps.platformDb, body));
}

async function run<T>(
  deps: WorkDeps,
  request: FastifyRequest,
  auditCompanyNo: number | null,
  work: (work: Work) => Promise<T>,
  transact: (body: (tx: Tx) => Promise<[T, StoredEvent[]]>) => Promise<[T, StoredEvent[]]>,
): Promise<T> {
  const traceparent = currentTraceparent();
  const actor = actorOf(request);
  // The body may run again after a deadlock, so everything it collects is made inside.
  const [result, stored] = await transact(async (tx) => {
    const events: EventInput[] = [];
    const notes: AuditInput[] = [];
    const value = await work({
      tx,
      emit: (definition, { companyNo, companyId, number }, data) => {
        const event = makeEvent(
          definition,
          { companyId, numberId: number ? numberIdOf(number) : undefined },
          data,
          { service: "gateway", at: deps.clock.now(), traceparent },
        );
        events.push({ companyNo, numberNo: number?.numberNo ?? null, event });
        return event.envelope.id as EventId;
      },
      note: (action, target, details = {}) => {
        notes.push({
          companyNo: auditCompanyNo,
          actor,
          action,
          target,
          requestId: request.id,
          details,
        });
      },
    });
    const committed = events.length === 0 ? [] : await appendEvents(tx, events);
    // Last: a company's audit entries go one after another until the commit.
    for (const note of notes) await audit(tx, note);
    return [value, committed];
  });
  // The sweeper publishes what cannot be published now; the answer does not wait for NATS.
  if (stored.length > 0) deps.relay.publish(stored);
  return result;
}

/** Who asks, as the audit log names them. */
export function actorOf(request: FastifyRequest): string {
  const { kind, tokenId } = principalOf(request);
  return `${kind === "cookie" ? "page" : "token"}:${tokenId}`;
}
