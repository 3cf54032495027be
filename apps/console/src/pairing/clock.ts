/**
 * The server's time, from `serverTime` in its answers and events. An answer is always a little old when it
 * arrives, so the largest offset is the nearest to the truth; a jump of more than two seconds means that the
 * device's clock was changed, and replaces it.
 */
export type ServerClock = {
  now(): number;
  learn(serverTime: string | undefined): void;
};

const JUMP_MS = 2_000;

export function createServerClock(deviceNow: () => number = Date.now): ServerClock {
  let offset: number | undefined;
  return {
    now: () => deviceNow() + (offset ?? 0),
    learn(serverTime) {
      const at = Date.parse(serverTime ?? "");
      if (!Number.isFinite(at)) return;
      const learnt = at - deviceNow();
      const isJump = offset === undefined || Math.abs(learnt - offset) > JUMP_MS;
      offset = isJump ? learnt : Math.max(offset ?? learnt, learnt);
    },
  };
}

/** Whole seconds until `end`, rounded up: the last second is 1, not 0. */
export function secondsUntil(end: number, now: number): number {
  return Math.max(0, Math.ceil((end - now) / 1_000));
}
