import type { Rest } from "./rest.ts";
import { RestError, textField } from "./rest.ts";

export const DEMO_COMPANY_ID = "962302";

const DEMO_COMPANY = {
  id: DEMO_COMPANY_ID,
  name: "Demo Salon",
  country: "RU",
  language: "en",
  phone: "+79001234567",
};

/** Makes the demo company unless it is there. Returns whether it was made. */
export async function ensureDemoCompany(rest: Rest): Promise<boolean> {
  try {
    await rest("GET", `/api/whatsapp/companies/${DEMO_COMPANY_ID}`);
    return false;
  } catch (error) {
    if (!(error instanceof RestError) || error.status !== 404) throw error;
  }
  await rest("POST", "/api/whatsapp/companies", DEMO_COMPANY);
  return true;
}

/** A new pairing link for a company's primary number, or for the given one. */
export async function makePairingLink(
  rest: Rest,
  companyId: string,
  numberId?: string,
): Promise<string> {
  const query = numberId === undefined ? "" : `?number=${encodeURIComponent(numberId)}`;
  const path = `/api/whatsapp/sessions/${encodeURIComponent(companyId)}/pairing-link${query}`;
  return textField(await rest("POST", path), "url");
}

/** The number of the simulated Meta, as its own API tells of it. */
export type MetaLine = { wabaId: string; phoneNumberId: string; accessToken: string };

export async function readMetaLine(simulatorUrl: string): Promise<MetaLine | undefined> {
  const answer = await fetch(`${simulatorUrl}/control/state`);
  const state = Object(await answer.json()) as Record<string, unknown>;
  const first = (name: string): Record<string, unknown> =>
    Object(Array.isArray(state[name]) ? state[name][0] : undefined) as Record<string, unknown>;
  const [number, token] = [first("numbers"), first("tokens")];
  const [phoneNumberId, wabaId, accessToken] = [number["id"], number["wabaId"], token["token"]];
  const isWhole =
    typeof phoneNumberId === "string" &&
    typeof wabaId === "string" &&
    typeof accessToken === "string";
  return isWhole ? { phoneNumberId, wabaId, accessToken } : undefined;
}

/** Gives the demo company the number of the simulated Meta unless it has it. Returns whether it was given. */
export async function ensureDemoMetaNumber(rest: Rest, line: MetaLine): Promise<boolean> {
  const path = `/api/whatsapp/companies/${DEMO_COMPANY_ID}/numbers`;
  const listed = Object(await rest("GET", path)) as { numbers?: unknown };
  const numbers = Array.isArray(listed.numbers) ? (listed.numbers as unknown[]) : [];
  const isThere = numbers.some(
    (one) => Object(Object(one).meta).phoneNumberId === line.phoneNumberId,
  );
  if (isThere) return false;
  await rest("POST", path, { provider: "meta", name: "Cloud API", ...line });
  return true;
}
