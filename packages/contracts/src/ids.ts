/**
 * Identifiers, each an opaque branded string with one place that makes and checks it.
 *
 * - `CompanyId`: the outer id of a tenant, chosen by the user, e.g. `962302`. One safe NATS token.
 * - `NumberId` `num_…`, `AttemptId` `pai_…`, `CommandId` `cmd_…`, `EventId` `evt_…`, `JobId` `job_…`: prefix and
 *   a UUIDv7 in hex without dashes, so they sort by creation.
 * Phone number, JID and LID are different things and never share a type.
 */
import { v7 as uuidv7 } from "uuid";

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type CompanyId = Branded<"CompanyId">;
export type NumberId = Branded<"NumberId">;
export type AttemptId = Branded<"AttemptId">;
export type CommandId = Branded<"CommandId">;
export type EventId = Branded<"EventId">;
export type JobId = Branded<"JobId">;

/** `[A-Za-z0-9_-]{1,64}`, not `_` alone (the "no number" token of subjects), without `__wpp__` (reserved). */
export const COMPANY_ID_PATTERN = "^(?!_$)(?!.*__wpp__)[A-Za-z0-9_-]{1,64}$";
const companyIdRegExp = new RegExp(COMPANY_ID_PATTERN);

/** The pattern of an id with this prefix, for JSON Schemas. */
export function idPattern(prefix: string): string {
  return `^${prefix}_[0-9a-f]{32}$`;
}

/** The company's outer id, or undefined if the text is not one. */
export function parseCompanyId(text: string): CompanyId | undefined {
  return companyIdRegExp.test(text) ? (text as CompanyId) : undefined;
}

const NUMBER_ID = new RegExp(idPattern("num"));

/** A number's id, or undefined if the text is not one. */
export function parseNumberId(text: string): NumberId | undefined {
  return NUMBER_ID.test(text) ? (text as NumberId) : undefined;
}

function newId(prefix: string): string {
  return `${prefix}_${uuidv7().replaceAll("-", "")}`;
}

export function newNumberId(): NumberId {
  return newId("num") as NumberId;
}
export function newAttemptId(): AttemptId {
  return newId("pai") as AttemptId;
}
export function newCommandId(): CommandId {
  return newId("cmd") as CommandId;
}
export function newEventId(): EventId {
  return newId("evt") as EventId;
}
export function newJobId(): JobId {
  return newId("job") as JobId;
}
