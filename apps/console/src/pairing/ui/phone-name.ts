import { phoneInPlay } from "../attempt.ts";
import { screenOf } from "../screen.ts";
import { formatPhone } from "../../phone-number/format.ts";
import type { View } from "./view.ts";

/** The number as people read it, or "Your phone" while it is not known. */
export function phoneName({ state, words }: Pick<View, "state" | "words">): string {
  const phone = state.outcome && "phone" in state.outcome ? state.outcome.phone : null;
  const asked = screenOf(state) === "wait" ? state.askedPhone : undefined;
  const digits = phone ?? asked ?? phoneInPlay(state);
  return digits ? formatPhone(digits) : words.t("page.yourPhone");
}
