/** What a refused message leads to, by WhatsApp's code in its answer. Data: nothing else knows these codes. */
import type { ChatType, MessageErrorCode } from "@manyline/contracts";

/**
 * restriction: is the number restricted? Then it waits for the end, else it fails; slow_down: the number has sent
 * too fast, everything waits; again: tried once more, then it fails; fail: it fails.
 */
export type RefusalReaction = "restriction" | "slow_down" | "again" | "fail";
export type RefusalRule = { reaction: RefusalReaction; error: MessageErrorCode };

const RULES: Readonly<Record<string, RefusalRule>> = {
  "400": { reaction: "fail", error: "NOT_ACCEPTED" },
  "401": { reaction: "fail", error: "NOT_ALLOWED" },
  // To a person: is it the number that may not?
  "403": { reaction: "restriction", error: "NOT_ALLOWED" },
  "404": { reaction: "fail", error: "RECIPIENT_UNKNOWN" },
  "406": { reaction: "fail", error: "NOT_ACCEPTED" },
  // Keys for devices that are not in the group any more.
  "421": { reaction: "again", error: "NOT_ACCEPTED" },
  "429": { reaction: "slow_down", error: "NOT_ACCEPTED" },
  // Said for every cause: a restricted account, a person who does not know the number.
  "463": { reaction: "restriction", error: "RECIPIENT_UNREACHABLE" },
  // A stale device or address.
  "479": { reaction: "again", error: "NOT_ACCEPTED" },
  "500": { reaction: "again", error: "NO_ANSWER" },
  "503": { reaction: "again", error: "NO_ANSWER" },
};

export function refusalRule(code: string, chatType: ChatType): RefusalRule {
  const rule = RULES[code] ?? { reaction: "fail", error: "NOT_ACCEPTED" };
  // A group that does not let us write says the same, whatever holds for the number.
  return code === "403" && chatType === "group" ? { ...rule, reaction: "fail" } : rule;
}

/** How long everything waits after `slow_down`, unless WhatsApp has said it. */
export const SLOW_DOWN_MS = 60_000;
