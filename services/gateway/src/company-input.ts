/** What a person says about a company, checked and brought into the stored form. */
import { ManylineError, parseCompanyId, parsePhone } from "@manyline/contracts";
import type {
  ChangeCompany,
  CompanyId,
  CreateCompany,
  EventData,
  companyCreated,
} from "@manyline/contracts";
import type { CompanyInput, CompanyPatch, CompanyRow } from "@manyline/db";
import { isTimezone } from "./domain/timezone.ts";
import { invalidRequest } from "./problem.ts";

/** A new company with the defaults: language en, time zone UTC, no country, no phone. */
export function inputOf(body: CreateCompany): CompanyInput {
  const { id, name, country = null, adminEmail = null, notificationEmail = null } = body;
  return {
    companyId: id,
    name,
    country,
    phone: phoneOf(body.phone ?? null, country),
    adminEmail,
    notificationEmail,
    timezone: timezoneOf(body.timezone ?? "UTC"),
    language: body.language ?? "en",
    whatsappEnabled: body.whatsappEnabled ?? true,
    whatsappConfig: body.whatsappConfig ?? {},
  };
}

/** whatsappConfig is merged key by key; a phone is read in the country as it will be. */
export function patchOf(before: CompanyRow, body: ChangeCompany): CompanyPatch {
  const { phone, timezone, whatsappConfig, ...plain } = body;
  const country = plain.country === undefined ? before.country : plain.country;
  return {
    ...plain,
    ...(phone === undefined ? {} : { phone: phoneOf(phone, country) }),
    ...(timezone === undefined ? {} : { timezone: timezoneOf(timezone) }),
    ...(whatsappConfig === undefined
      ? {}
      : { whatsappConfig: { ...before.whatsappConfig, ...whatsappConfig } }),
  };
}

/** Stored as E.164 digits; null stays null: no phone is ever guessed. */
export function phoneOf(text: string | null, country: string | null): string | null {
  if (text === null) return null;
  const phone = parsePhone(text, country);
  if (phone === undefined) throw new ManylineError("INVALID_PHONE_FORMAT");
  return phone;
}

/** Throws INVALID_REQUEST for what is no IANA time zone. */
export function timezoneOf(text: string): string {
  if (!isTimezone(text)) {
    throw invalidRequest({ field: "timezone", message: "must be an IANA time zone" });
  }
  return text;
}

/** A bad id has its own code, which the schema's pattern cannot give. */
export function badId(body: unknown): Error | undefined {
  if (typeof body !== "object" || body === null || !("id" in body)) return undefined;
  const isBad = typeof body.id === "string" && parseCompanyId(body.id) === undefined;
  return isBad ? new ManylineError("INVALID_COMPANY_ID") : undefined;
}

/** Whom an event about the company is about. */
export function subjectOf(row: CompanyRow): { companyNo: number; companyId: CompanyId } {
  const companyId = parseCompanyId(row.companyId);
  if (companyId === undefined) throw new Error("a stored company has no valid id");
  return { companyNo: row.companyNo, companyId };
}

/** What events tell about a company. */
export function companyFacts(row: CompanyRow): EventData<typeof companyCreated> {
  const { companyId: id, name, country, language, timezone, whatsappEnabled } = row;
  return { id, name, country, language, timezone, whatsappEnabled };
}
