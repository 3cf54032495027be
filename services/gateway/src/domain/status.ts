import { SESSION_REASONS } from "@manyline/contracts";
import type { NextAction, Provider, SessionReason, SessionStatus } from "@manyline/contracts";

/** What is stored about a number, and what is true around it, at one moment of the database's clock. */
export type StatusFacts = {
  readonly provider: Provider;
  readonly status: SessionStatus;
  readonly reason: SessionReason;
  readonly since: Date;
  readonly until: Date | null;
  /** It was written by who owns the shard now, under a live lease. */
  readonly isOwnersWord: boolean;
  /** Credentials are stored. */
  readonly isLinked: boolean;
  /** The shard of the number has a live lease. */
  readonly hasOwner: boolean;
  /** When its owner took it; null: it has none. */
  readonly ownerSince: Date | null;
  /** When it lost its owner; null: it has one, or never had. */
  readonly ownerlessSince: Date | null;
  /** End of the company's cooldown for pairing codes. */
  readonly blockedUntil: Date | null;
  readonly now: Date;
};

export type DerivedStatus = {
  readonly status: SessionStatus;
  readonly reason: SessionReason;
  readonly since: Date;
  /** When it ends by itself, if that is known. */
  readonly until: Date | null;
  readonly nextAction: NextAction;
};

/**
 * The status a caller sees. In this order:
 *
 * 1. connected: stored so under the shard's present lease, which is live (what a former owner left behind
 *    proves nothing);
 * 2. blocked: the company's cooldown lies ahead and this linked number has no credentials;
 * 3. disconnected/no_owner: the shard has no live lease, since it lost it or since the number was stored so;
 * 4. connecting/opening: stored as connected by a former owner. The present one has taken the shard and not said
 *    anything of this number yet; the first thing it will say is this;
 * 5. what is stored; a stored block whose end has passed is over, although its owner has not said so yet.
 */
export function deriveStatus(facts: StatusFacts): DerivedStatus {
  const { now, blockedUntil } = facts;
  if (facts.status === "connected" && facts.isOwnersWord) return stored(facts);
  const isBlockAhead = blockedUntil !== null && blockedUntil > now;
  if (isBlockAhead && facts.provider === "linked" && !facts.isLinked) {
    return derived("rate_limited", facts.since, blockedUntil);
  }
  if (!facts.hasOwner) return derived("no_owner", later(facts.since, facts.ownerlessSince), null);
  if (facts.status === "connected") {
    return derived("opening", later(facts.since, facts.ownerSince), null);
  }
  if (facts.status === "blocked" && !isBlockAhead) {
    return derived("not_linked", facts.until ?? facts.since, null);
  }
  return stored(facts);
}

function later(a: Date, b: Date | null): Date {
  return b !== null && b > a ? b : a;
}

function stored({ status, reason, since, until }: StatusFacts): DerivedStatus {
  return { status, reason, since, until, nextAction: SESSION_REASONS[reason].nextAction };
}

function derived(reason: SessionReason, since: Date, until: Date | null): DerivedStatus {
  const { status, nextAction } = SESSION_REASONS[reason];
  return { status, reason, since, until, nextAction };
}

/** 0 to 100: 100, less 10 per reconnect try (at most 50), less 40 when not connected. */
export function healthScore(reconnectAttempts: number, isConnected: boolean): number {
  return 100 - Math.min(50, 10 * reconnectAttempts) - (isConnected ? 0 : 40);
}
