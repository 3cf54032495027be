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
