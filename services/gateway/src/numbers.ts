/** Which number a request means, and the primary that comes into being when it is first needed. */
import { ManylineError, newNumberId, numberAdded, parseNumberId } from "@manyline/contracts";
import type { EventData } from "@manyline/contracts";
import {
  createNumber,
  getCompanyByNo,
  getNumber,
  getNumberByNo,
  getPrimaryNumber,
} from "@manyline/db";
import type { CompanyRow, Executor, NumberRow } from "@manyline/db";
import { numberIdOf } from "./domain/ids.ts";
import type { Principal, Tenant } from "./request-types.ts";
import type { Work } from "./work.ts";

export const DEFAULT_MAX_NUMBERS = 500;

/** The company of a request; its row can be gone although its token was just found. */
export async function companyRow(executor: Executor, tenant: Tenant): Promise<CompanyRow> {
  const company = await getCompanyByNo(executor, tenant.companyNo);
  if (!company) throw new ManylineError("COMPANY_NOT_FOUND");
  return company;
}

/**
 * The number that `?number=` names, else the one the token is bound to, else the primary; undefined only
 * where nothing is named and the company has none. A token bound to a number sees no other.
 */
export async function findNumber(
  executor: Executor,
  tenant: Tenant,
  principal: Principal,
  wanted: string | undefined,
): Promise<NumberRow | undefined> {
  if (principal.numberNo !== null) {
    const own = await getNumberByNo(executor, principal.numberNo);
    if (!own || own.companyNo !== tenant.companyNo || (wanted ?? own.numberId) !== own.numberId) {
      throw new ManylineError("NUMBER_NOT_FOUND");
    }
    return own;
  }
  if (wanted === undefined) return getPrimaryNumber(executor, tenant.companyNo);
  const numberId = parseNumberId(wanted);
  const number =
    numberId === undefined ? undefined : await getNumber(executor, tenant.companyNo, numberId);
  if (!number) throw new ManylineError("NUMBER_NOT_FOUND");
  return number;
}

/** As findNumber, but a company without numbers gets its primary linked number. */
export async function findOrCreateNumber(
  work: Work,
  tenant: Tenant,
  principal: Principal,
  wanted: string | undefined,
): Promise<NumberRow> {
  const { tx } = work;
  const found = await findNumber(tx, tenant, principal, wanted);
  if (found) return found;
  const created = await createFirst(work, tenant);
  const number = created ?? (await getPrimaryNumber(tx, tenant.companyNo));
  if (!number) throw new ManylineError("NUMBER_NOT_FOUND");
  return number;
}

/** Undefined when another request has just created the first one. */
async function createFirst(work: Work, tenant: Tenant): Promise<NumberRow | undefined> {
  try {
    const number = await createNumber(work.tx, tenant.companyNo, {
      numberId: newNumberId(),
      provider: "linked",
      phone: null,
      name: null,
      // The company's row is locked while this counts: of two requests at once, one creates.
      maxNumbers: 1,
    });
    work.emit(numberAdded, { ...tenant, number }, numberFacts(number));
    work.note("number.added", number.numberId, { provider: number.provider, by: "pairing" });
    return number;
  } catch (error) {
    if (error instanceof ManylineError && error.code === "NUMBER_LIMIT_REACHED") return undefined;
    throw error;
  }
}

/** What events tell about a number. */
export function numberFacts(number: NumberRow): EventData<typeof numberAdded> {
  return {
    numberId: numberIdOf(number),
    provider: number.provider,
    name: number.name,
    phone: number.phone,
    isPrimary: number.isPrimary,
  };
}
