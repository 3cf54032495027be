/** What typing does to the number in the form. */
import { formatNational } from "../../phone-number/format.ts";
import { readPhone } from "../../phone-number/read-phone.ts";
import type { PhoneDraft } from "./draft.ts";

/** Typing: an error that was shown goes when the number is right. */
export function typed(draft: PhoneDraft, text: string): PhoneDraft {
  const isRight = !readPhone(text, draft.country).problem;
  return {
    ...draft,
    text,
    isChecked: draft.isChecked && !isRight,
    remark: undefined,
    isGuess: false,
  };
}

/** Leaving the field, pasting, sending: the number is put in order and what was read differently is said. */
export function settled(draft: PhoneDraft): PhoneDraft {
  const { country, national, problem, remark } = readPhone(draft.text, draft.country);
  if (problem || !country) {
    const hasDigits = draft.text.trim() !== "";
    return { ...draft, isChecked: hasDigits || draft.isChecked };
  }
  return {
    country,
    text: formatNational(national, country),
    isChecked: false,
    remark: remark ?? draft.remark,
    isGuess: false,
  };
}
