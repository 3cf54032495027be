/** When a delivery is tried again, when an endpoint is called no more, and what a subscription asks for. Pure. */
import { EVENTS } from "../events/catalogue.ts";
import { FAMILIES } from "../events/define.ts";

export const WEBHOOK_FIGURES = {
  timeoutMs: 10_000,
  answerBytes: 64 * 1024,
  /** Before the second try, the third, … Nine tries in all, over 28 hours. */
  retryMs: [0, 5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 36_000_000],
  /** A pause is up to so much longer, so that what failed together does not come back together. */
  jitter: 0.1,
  /** After so many failures a delivery steps aside, and what follows in its chat goes before it. */
  lateAfter: 3,
  /** Under way to one endpoint at a time; one while it fails. */
  perEndpoint: 8,
  /** Failures in a row after which an endpoint is called less often, at last once in `mostPauseMs`. */
  pauseAfter: 5,
  mostPauseMs: 60_000,
  /** So long an event waits for one that belongs before it in its chat. */
  gapMs: 5_000,
  /** So long, if nobody remembers its chat because the reader of the stream has just begun. */
  firstGapMs: 250,
  subscriptions: 20,
  /** How long a former secret goes on signing, unless said otherwise. */
  overlapHours: 24,
  mostOverlapHours: 720,
  keptDays: 8,
  /** Events of a time that one call replays. */
  replayed: 10_000,
} as const;

/** The seed's event: the code itself, sent within its life and never stored. It must be asked for by name. */
export const PAIRING_CODE_EVENT = "pairing-code";

/** What a subscription can name: `*`, `message.*`, `message.received`, `pairing-code`. */
export function isEventFilter(text: string): boolean {
  return FILTERS.has(text);
}
const FILTERS: ReadonlySet<string> = new Set([
  "*",
  PAIRING_CODE_EVENT,
  ...FAMILIES.map((family) => `${family}.*`),
  ...EVENTS.map(({ type }) => type),
]);

/** The filters that an event of this type meets. */
export function filtersOf(type: string): string[] {
  return type === PAIRING_CODE_EVENT ? [type] : ["*", `${type.split(".")[0] ?? ""}.*`, type];
}

/** Any 2xx. A redirect is a failure: what was signed for one address goes to no other. */
export function isTaken(status: number): boolean {
  return status >= 200 && status < 300;
}

/** `attempts`: how often it was tried. Undefined: never again. `random`: from 0 to 1. */
export function nextAttemptMs(attempts: number, random: number): number | undefined {
  const pause = WEBHOOK_FIGURES.retryMs[attempts - 1];
  return pause === undefined
    ? undefined
    : Math.round(pause * (1 + random * WEBHOOK_FIGURES.jitter));
}

/** How long an endpoint is left alone after so many failures in a row, whatever was to be delivered. */
export function endpointPauseMs(failures: number): number {
  const { pauseAfter, mostPauseMs } = WEBHOOK_FIGURES;
  return failures < pauseAfter ? 0 : Math.min(mostPauseMs, 1_000 * 2 ** (failures - pauseAfter));
}

/**
 * A delivery has died: is the endpoint dead too? Yes if it has taken nothing since that was first tried. Failing begins
 * with the call, a moment after the try was noted, and later if it waited for the processor or Postgres.
 */
export function isEndpointDead(failingSince: Date | undefined, firstTriedAt: Date): boolean {
  if (failingSince === undefined) return false;
  return failingSince.getTime() - firstTriedAt.getTime() <= WEBHOOK_FIGURES.mostPauseMs;
}
