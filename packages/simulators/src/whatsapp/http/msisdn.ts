import { isMsisdn } from "../jid.ts";
import { HttpError } from "./json.ts";

/** @throws {HttpError} 400 */
export function readMsisdn(value: unknown): string {
  if (typeof value !== "string" || !isMsisdn(value)) {
    const message = "A phone number is 7 to 15 digits with the country code, without + or blanks.";
    throw new HttpError(400, "bad_msisdn", message);
  }
  return value;
}
