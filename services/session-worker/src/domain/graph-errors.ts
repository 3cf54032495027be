/** What an error of Meta's Graph API leads to, by its code. Data: nothing else knows these codes. */
import type { MessageErrorCode } from "@manyline/contracts";
import type { RefusalRule } from "./refusals.ts";

/**
 * token: the number's token is of no use, nothing goes until there is another · place: Meta does not know the
 * number (any more) · locked: the account is locked · rest: this message is tried again after a while · pair: too
 * many to this person, only this chat waits, longer each time · otherwise as for refusals.
 */
export type GraphReaction =
  | "token"
  | "place"
  | "locked"
  | "rest"
  | "pair"
  | RefusalRule["reaction"];
export type GraphRule = { reaction: GraphReaction; error: MessageErrorCode };

const rules = (
  reaction: GraphReaction,
  error: MessageErrorCode,
  ...codes: number[]
): [number, GraphRule][] => codes.map((code) => [code, { reaction, error }]);

const RULES = new Map<number, GraphRule>([
  ...rules("token", "NOT_ALLOWED", 0, 3, 10, 190, 131_005),
  ...rules("place", "NOT_ALLOWED", 33, 131_045, 133_010),
  ...rules("locked", "NOT_ALLOWED", 368, 131_031),
  ...rules("slow_down", "NOT_ACCEPTED", 4, 80_007, 130_429),
  ...rules("pair", "NO_ANSWER", 131_056),
  // Meta itself is away, works on the number, or wants five minutes: nothing is wrong with the message.
  ...rules("rest", "NO_ANSWER", 2, 131_016, 131_057, 133_004, 133_015),
  ...rules("again", "NO_ANSWER", 1, 131_000, 135_000),
  ...rules(
    "fail",
    "NOT_ACCEPTED",
    100,
    131_008,
    131_009,
    131_021,
    131_048,
    131_049,
    131_051,
    130_472,
  ),
  ...rules("fail", "NOT_ALLOWED", 130_497, 131_030, 131_037, 131_042, 131_044, 131_063, 131_064),
  ...rules("fail", "PHONE_NOT_ON_WHATSAPP", 131_026),
  ...rules("fail", "WINDOW_CLOSED", 131_047),
  ...rules("fail", "OPTED_OUT", 131_050),
  ...rules("fail", "RECIPIENT_UNKNOWN", 131_062, 137_000),
  ...rules("fail", "MEDIA_UNAVAILABLE", 131_052, 131_053),
  ...rules("fail", "TEMPLATE_NOT_ACCEPTED", 132_000, 132_001, 132_005, 132_007, 132_008, 132_012),
  ...rules("fail", "TEMPLATE_NOT_ACCEPTED", 132_015, 132_016, 132_068, 132_069),
]);

/** 100 with this subcode: what was asked for does not exist. */
const GONE_SUBCODE = 33;

/** A code that is not in the table fails the message, unless the server itself was at fault. */
export function graphRule(error: {
  code: number;
  subcode?: number;
  httpStatus: number;
}): GraphRule {
  if (error.code === 100 && error.subcode === GONE_SUBCODE) {
    return { reaction: "place", error: "NOT_ALLOWED" };
  }
  if (error.code >= 200 && error.code <= 299) return { reaction: "token", error: "NOT_ALLOWED" };
  const known = RULES.get(error.code);
  if (known) return known;
  if (error.httpStatus === 429) return { reaction: "slow_down", error: "NOT_ACCEPTED" };
  return { reaction: error.httpStatus >= 500 ? "again" : "fail", error: "NOT_ACCEPTED" };
}

/** Longer than this nothing waits without asking again: somebody may have got another answer meanwhile. */
const LONGEST_WAIT_MS = 600_000;

/** How long to wait when Meta asks for so long; undefined: it does not say. */
export function askedWaitMs(retryAfterMs: number | undefined): number | undefined {
  return retryAfterMs === undefined ? undefined : Math.min(retryAfterMs, LONGEST_WAIT_MS);
}

/** How long a chat waits after so many messages too many, as Meta asks: 4^n seconds. */
export function pairPauseMs(n: number): number {
  return 1_000 * 4 ** Math.min(Math.max(0, n), 6);
}

/** When versions of the Graph API end; one that has ended is served by the oldest that lives. */
export const GRAPH_VERSION_ENDS: Readonly<Record<string, string>> = {
  "v21.0": "2027-01-21",
  "v22.0": "2027-05-20",
  "v23.0": "2027-10-08",
  "v24.0": "2028-02-18",
  "v25.0": "2028-07-29",
};
const WARN_BEFORE_MS = 90 * 86_400_000;

/** The end of a version that is near or past; undefined: no need to do anything. */
export function versionEnd(version: string, now: Date): Date | undefined {
  const end = GRAPH_VERSION_ENDS[version];
  const major = Number(/^v(\d+)\./.exec(version)?.[1]);
  if (end === undefined) return major < 21 ? new Date(0) : undefined;
  const at = new Date(end);
  return at.getTime() - now.getTime() < WARN_BEFORE_MS ? at : undefined;
}
