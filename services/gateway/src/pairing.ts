/** Asking for a pairing code and starting attempts: what the routes and the code variant of reconnect share. */
import { ManylineError, PAIRING, formatPairingCode } from "@manyline/contracts";
import type { PairingCodeAnswer } from "@manyline/contracts";
import {
  findLinkedPhone,
  readAttempt,
  readAttemptSecret,
  readStatus,
  withCompany,
} from "@manyline/db";
import type { CompanyRow, Executor, NumberRow, StatusRow } from "@manyline/db";
import type { FastifyRequest } from "fastify";
import { principalOf, tenantOf } from "./auth.ts";
import type { Deps } from "./deps.ts";
import { statusOf } from "./domain/answers.ts";
import { findOrCreateNumber } from "./numbers.ts";
import { changeNumber } from "./routes/numbers.ts";
import { assertCan } from "./sends/sender.ts";
import { phoneOf } from "./company-input.ts";
import { companyWork } from "./work.ts";
import type { Work } from "./work.ts";

/**
 * What a person is about to link, checked for what makes linking impossible. `atServer`: a WPP or Meta number that has
 * what it takes to connect is connected anew by its owner.
 */
export async function numberToPair(
  work: Work,
  request: FastifyRequest,
  wanted: string | undefined,
  { atServer = false }: { atServer?: boolean } = {},
): Promise<StatusRow> {
  const tenant = tenantOf(request);
  const found = await findOrCreateNumber(work, tenant, principalOf(request), wanted);
  const row = await statusRow(work.tx, found);
  if (!row.company.whatsappEnabled) throw new ManylineError("COMPANY_DISABLED");
  const { provider, isLinked } = row.number;
  if (!atServer) assertCan(row.number, "pairing_code");
  else if (provider !== "linked" && !isLinked) {
    throw new ManylineError("PROVIDER_NOT_SUPPORTED", { detail: HOW[provider] });
  }
  return row;
}

/** What connects a number that is not linked by a person. */
const HOW = {
  wpp: "A WPP number gets its session with POST …/sessions/<company>/wpp.",
  meta: "A Meta number is connected by its access token: PATCH …/companies/<company>/numbers/<number>.",
} as const;

/** A person who links or reconnects a number wants it connected, whatever was wished before. */
export async function wishConnected(
  work: Work,
  request: FastifyRequest,
  number: NumberRow,
): Promise<void> {
  await changeNumber(work, tenantOf(request), number, { desiredState: "connected" });
}

/**
 * A code for `phoneNumber`, else for the number's stored phone, else, for the primary, the company's.
 * Waits for the owner; throws PHONE_REQUIRED, INVALID_PHONE_FORMAT, ALREADY_CONNECTED,
 * PHONE_ALREADY_LINKED, NO_OWNER, COMMAND_TIMEOUT and what the owner found.
 */
export async function askForCode(
  deps: Deps,
  request: FastifyRequest,
  wanted: string | undefined,
  phoneNumber: string | number | null | undefined,
): Promise<PairingCodeAnswer> {
  const { companyNo, companyId } = tenantOf(request);
  const { command, phone } = await companyWork(deps, request, async (work) => {
    const row = await numberToPair(work, request, wanted);
    const target = phoneFor(row.number, row.company, phoneNumber);
    if (statusOf(row.number, row).status === "connected") {
      throw new ManylineError("ALREADY_CONNECTED");
    }
    if (await findLinkedPhone(work.tx, companyNo, target, row.number.numberNo)) {
      throw new ManylineError("PHONE_ALREADY_LINKED");
    }
    await wishConnected(work, request, row.number);
    work.note("pairing.code_requested", row.number.numberId);
    const queued = await deps.commands.enqueue(work.tx, row.number, "pair_code", { phone: target });
    return { command: queued, phone: target };
  });
  const { attemptId } = await deps.commands.result(command);
  if (typeof attemptId !== "string") throw new ManylineError("INTERNAL");
  const issued = await withCompany(deps.appDb, companyNo, async (tx) => ({
    attempt: await readAttempt(tx, attemptId),
    secret: await readAttemptSecret(tx, deps.keyring, companyNo, attemptId),
  }));
  const { attempt, secret } = issued;
  if (!attempt || secret?.kind !== "code") throw new ManylineError("PAIRING_CODE_FAILED");
  const code = secret.value.includes("-") ? secret.value : formatPairingCode(secret.value);
  // The unscaled figure, as the seed's readers know it; `expiresAt` is the one to count down to.
  const seconds = PAIRING.codeValidityMs / 1_000;
  return {
    success: true,
    companyId,
    pairingCode: code,
    code,
    expiresIn: `${seconds} seconds`,
    expiresInSeconds: seconds,
    expiresAt: secret.expiresAt.toISOString(),
    serverTime: deps.clock.now().toISOString(),
    attemptId,
    phoneNumber: attempt.phone ?? phone,
    codesLeft: attempt.codesLeft ?? 0,
  };
}

/** The row behind a status, of a number that was just found. */
export async function statusRow(executor: Executor, number: NumberRow): Promise<StatusRow> {
  const row = await readStatus(executor, number.companyNo, number.numberNo);
  if (!row) throw new ManylineError("NUMBER_NOT_FOUND");
  return row;
}

function phoneFor(
  number: NumberRow,
  company: CompanyRow,
  given: string | number | null | undefined,
): string {
  const text = given ?? number.phone ?? (number.isPrimary ? company.phone : null);
  const phone = phoneOf(text === null ? null : String(text), company.country);
  if (phone === null) throw new ManylineError("PHONE_REQUIRED");
  return phone;
}
