/** Rows to the shapes that REST answers with. Pure. */
import { LANGUAGES, PAIRING, maskEmail } from "@manyline/contracts";
import type { Attempt, Company, Language, NumberAnswer, StatusAnswer } from "@manyline/contracts";
import type { AttemptRow, CompanyRow, NumberRow, StatusRow } from "@manyline/db";
import { numberIdOf } from "./ids.ts";
import { deriveStatus, healthScore } from "./status.ts";
import type { DerivedStatus } from "./status.ts";

/** What is true of all numbers of a company at a moment: they share a shard and a limit. */
export type CompanyFacts = Pick<
  StatusRow,
  "hasOwner" | "ownerSince" | "ownerlessSince" | "blockedUntil" | "dbNow"
>;

export function companyAnswer(row: CompanyRow): Company {
  return {
    id: row.companyId,
    name: row.name,
    country: row.country,
    phone: row.phone,
    adminEmail: row.adminEmail,
    notificationEmail: row.notificationEmail,
    timezone: row.timezone,
    language: languageOf(row.language),
    whatsappEnabled: row.whatsappEnabled,
    whatsappConfig: row.whatsappConfig,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

export function numberAnswer(row: NumberRow, companyId: string, facts: CompanyFacts): NumberAnswer {
  const { status, reason, since } = statusOf(row, facts);
  return {
    id: row.numberId,
    companyId,
    provider: row.provider,
    name: row.name,
    phone: row.phone,
    isPrimary: row.isPrimary,
    desiredState: row.desiredState,
    status,
    reason,
    since: since.toISOString(),
    createdAt: row.createdAt.toISOString(),
    ...(row.provider === "meta"
      ? {
          meta: {
            wabaId: row.wabaId,
            phoneNumberId: row.phoneNumberId,
            isConfirmed: row.isActive,
            accessToken: row.hasToken ? "SET" : "NULL",
          },
        }
      : {}),
    ...(row.provider === "wpp" ? { wpp: { server: row.wppServer, session: row.wppSession } } : {}),
  };
}

/** `GET …/status` of a number. */
export function statusAnswer(row: StatusRow): StatusAnswer {
  const { number, company, attempt, blockedUntil, codesLeft, dbNow } = row;
  const derived = statusOf(number, row);
  return {
    success: true,
    companyId: company.companyId,
    ...shown(derived),
    asOf: dbNow.toISOString(),
    serverTime: dbNow.toISOString(),
    number: {
      id: numberIdOf(number),
      provider: number.provider,
      phone: number.phone,
      name: number.name,
      isPrimary: number.isPrimary,
    },
    attempt: attempt ? attemptAnswer(attempt, blockedAhead(blockedUntil, dbNow), codesLeft) : null,
    codesLeft,
    blockedUntil: iso(blockedAhead(blockedUntil, dbNow)),
    restriction: row.restriction,
    isPaused: row.isPaused,
    company: companySummary(company),
    health: {
      score: healthScore(row.health.reconnectAttempts, derived.status === "connected"),
      reconnectAttempts: row.health.reconnectAttempts,
      lastSeenAt: iso(row.health.lastSeenAt),
    },
  };
}

/** `GET …/status` of a company that has no number yet: its first one comes with the first pairing. */
export function statusWithoutNumber(company: CompanyRow, now: Date): StatusAnswer {
  const time = now.toISOString();
  return {
    success: true,
    companyId: company.companyId,
    status: "disconnected",
    reason: "not_linked",
    since: company.createdAt.toISOString(),
    until: null,
    nextAction: "pair",
    asOf: time,
    serverTime: time,
    number: null,
    attempt: null,
    codesLeft: PAIRING.codesPerHour,
    blockedUntil: null,
    restriction: null,
    isPaused: false,
    company: companySummary(company),
    health: { score: healthScore(0, false), reconnectAttempts: 0, lastSeenAt: null },
  };
}

export function attemptAnswer(
  row: AttemptRow,
  blockedUntil: Date | null,
  codesLeft: number,
): Attempt {
  return {
    id: row.attemptId,
    method: row.method,
    state: row.state,
    outcome: row.outcome,
    errorCode: row.errorCode,
    k: row.k,
    max: row.max,
    switched: row.switched,
    startedAt: row.startedAt.toISOString(),
    issuedAt: iso(row.issuedAt),
    expiresAt: iso(row.expiresAt),
    phone: row.phone,
    codesLeft,
    blockedUntil: iso(blockedUntil),
  };
}

/** The derived status of one of a company's numbers. */
export function statusOf(number: NumberRow, facts: CompanyFacts): DerivedStatus {
  return deriveStatus({
    provider: number.provider,
    status: number.status,
    reason: number.reason,
    since: number.since,
    until: number.until,
    isOwnersWord: number.isOwnersWord,
    isLinked: number.isLinked,
    hasOwner: facts.hasOwner,
    ownerSince: facts.ownerSince,
    ownerlessSince: facts.ownerlessSince,
    blockedUntil: facts.blockedUntil,
    now: facts.dbNow,
  });
}

function companySummary(company: CompanyRow): StatusAnswer["company"] {
  const email = company.notificationEmail ?? company.adminEmail;
  return {
    id: company.companyId,
    name: company.name,
    phone: company.phone,
    maskedEmail: email === null ? null : maskEmail(email),
    country: company.country,
    language: company.language,
    timezone: company.timezone,
    returnUrl: company.whatsappConfig.returnUrl ?? null,
    smsNotifications: company.whatsappConfig.smsNotifications ?? false,
  };
}

function shown({ status, reason, since, until, nextAction }: DerivedStatus) {
  return { status, reason, since: since.toISOString(), until: iso(until), nextAction };
}

function blockedAhead(blockedUntil: Date | null, now: Date): Date | null {
  return blockedUntil !== null && blockedUntil > now ? blockedUntil : null;
}

function iso(date: Date | null): string | null {
  return date === null ? null : date.toISOString();
}

function languageOf(text: string): Language {
  return LANGUAGES.find((language) => language === text) ?? "en";
}
