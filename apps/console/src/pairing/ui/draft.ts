import { formatNational } from "../../phone-number/format.ts";
import type { PhoneRemark } from "../../phone-number/read-phone.ts";
import type { Country } from "../../phone-number/countries.ts";
import { countryOfDigits, defaultCountry } from "../../phone-number/countries.ts";
import type { Facts } from "../state.ts";

/** The number as it stands in the form. It outlives the form: a failed try does not lose it. */
export type PhoneDraft = {
  country: Country | undefined;
  text: string;
  /** the field was left or the form sent: what is wrong is shown until it is right */
  isChecked: boolean;
  remark: PhoneRemark | undefined;
  /** the country comes from hints, and better ones may come */
  isGuess: boolean;
};

export const EMPTY_DRAFT: PhoneDraft = {
  country: undefined,
  text: "",
  isChecked: false,
  remark: undefined,
  isGuess: true,
};

/** The company's phone if it is known, never a guessed number; the country from the best hint. */
export function firstDraft(facts: Facts, locales: readonly string[]): PhoneDraft {
  const { company } = facts;
  const phone = facts.phone ?? company.phone;
  const country = defaultCountry({ ...company, phone, locales });
  if (!phone) return { ...EMPTY_DRAFT, country, isGuess: false };
  return draftOf(phone, country);
}

/** @param phone digits with calling code */
export function draftOf(phone: string, preferred: Country | undefined): PhoneDraft {
  const country = countryOfDigits(phone, preferred);
  const text = country ? formatNational(phone.slice(country.code.length), country) : `+${phone}`;
  return { country, text, isChecked: false, remark: undefined, isGuess: false };
}
