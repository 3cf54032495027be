/** What a screen reader is told when the page changes. Pure. The countdown itself is never read out. */
import { secondsUntil } from "./clock.ts";
import { screenOf, type Screen } from "./screen.ts";
import type { PageState } from "./state.ts";

/** `polite` waits for a pause, `alert` does not. */
export type Announcement =
  | { region: "polite"; kind: "qr"; k: number; max: number }
  | { region: "polite"; kind: "code"; code: string; seconds: number; isSwitched: boolean }
  | { region: "polite"; kind: "half" | "soon" }
  | { region: "polite" | "alert"; kind: "screen"; screen: SpokenScreen };

/** Screens whose words are read out when they come by themselves. */
const SPOKEN = {
  "link-invalid": "alert",
  "link-missing": "alert",
  "link-ended": "alert",
  unreachable: "alert",
  switching: "polite",
  "phone-missing": "alert",
  expired: "alert",
  wait: "alert",
  "whatsapp-wait": "alert",
  passkey: "alert",
  "not-on-whatsapp": "alert",
  failed: "alert",
  refused: "alert",
  linking: "polite",
  connected: "polite",
  down: "polite",
} as const satisfies Partial<Record<Screen, "polite" | "alert">>;
export type SpokenScreen = keyof typeof SPOKEN;

const HALF_SECONDS = 30;
const SOON_SECONDS = 10;

export function announcementOf(before: PageState, after: PageState): Announcement | undefined {
  const screen = screenOf(after);
  const { attempt } = after;
  const isNewAttempt = before.attempt?.id !== attempt?.id;
  if (attempt?.qr && screen.startsWith("qr")) {
    // A new secret under the same number is no news for a person.
    if (isNewAttempt || before.attempt?.k !== attempt.k || !before.attempt.qr)
      return { region: "polite", kind: "qr", k: attempt.k, max: attempt.max };
    return undefined;
  }
  if (isCode(screen) && attempt?.code) {
    const seconds = secondsUntil(attempt.expiresAt, after.now);
    if (isNewAttempt || !isCode(screenOf(before)))
      return {
        region: "polite",
        kind: "code",
        code: attempt.code,
        seconds,
        isSwitched: attempt.switched,
      };
    const secondsBefore = secondsUntil(attempt.expiresAt, before.now);
    if (secondsBefore > HALF_SECONDS && seconds <= HALF_SECONDS)
      return { region: "polite", kind: "half" };
    if (secondsBefore > SOON_SECONDS && seconds <= SOON_SECONDS)
      return { region: "polite", kind: "soon" };
    return undefined;
  }
  if (!isSpoken(screen) || screen === screenOf(before)) return undefined;
  return { region: SPOKEN[screen], kind: "screen", screen };
}

/** `K7WM-3XQP` → `K, 7, W, M, 3, X, Q, P`. */
export function spelled(code: string): string {
  return Array.from(code.replace("-", "")).join(", ");
}

function isSpoken(screen: Screen): screen is SpokenScreen {
  return Object.hasOwn(SPOKEN, screen);
}

function isCode(screen: Screen): boolean {
  return screen === "code" || screen === "code-ending" || screen === "switched";
}
