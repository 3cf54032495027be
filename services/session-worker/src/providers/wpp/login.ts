/**
 * A WPP number is connected when the platform says so; whoever waits to be scanned is asked about again after a pause,
 * as after a lost connection.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { LoginConnection, LoginHandlers, NumberRef } from "../provider.ts";
import { WppError } from "./errors.ts";
import type { WppParts } from "./open.ts";
import type { WppAccount } from "./platform.ts";

/** How a number ends, as in domain/closing-reasons.ts. */
const ENDS = { away: 503, notConnected: 428, key: 471 } as const;
/** Between two questions while it is connected. */
const POLL_MS = 30_000;
/** So many questions in a row without an answer, and it counts as lost. */
const MOST_SILENCES = 3;

export async function openWppLogin(
  { fence }: NumberRef,
  { platform, store }: WppParts,
  handlers: LoginHandlers,
  pollMs = POLL_MS,
): Promise<LoginConnection | undefined> {
  const known = await store.load(fence);
  if (!platform || !known?.client) return undefined;
  const account = platform.account(known.client);
  const stopping = new AbortController();
  const { signal } = stopping;
  // As with a connection: what comes of it is told after this function has returned.
  setImmediate(() => void watch(account, signal, handlers, pollMs));
  return {
    isRepeatable: false,
    close: () => stopping.abort(),
    heard: () => undefined,
    // The gateway takes no messages for these numbers; one that is there nevertheless cannot be sent.
    send: () => Promise.resolve({ kind: "impossible", error: "NOT_ACCEPTED" }),
    askTimelock: () => Promise.resolve(undefined),
    checkPhones: () => Promise.reject(new Error("the platform does not tell who has WhatsApp")),
    markRead: () => Promise.resolve(),
    showTyping: () => Promise.resolve(),
    logout: async () => {
      stopping.abort();
      try {
        await account.stop();
        return true;
      } catch {
        return false;
      }
    },
  };
}

async function watch(
  account: WppAccount,
  signal: AbortSignal,
  handlers: LoginHandlers,
  pollMs: number,
): Promise<void> {
  let silences = 0;
  let isOpen = false;
  while (!signal.aborted) {
    const found = await ask(account);
    if (signal.aborted) return;
    if (found === "connected") {
      silences = 0;
      if (!isOpen) handlers.onOpen();
      isOpen = true;
    } else if (found === "silent" && isOpen && (silences += 1) < MOST_SILENCES) {
      // It may be the way to the platform only: its webhooks go another.
    } else {
      handlers.onClosed({ code: codeOf(found), message: `the platform says: ${found}` });
      return;
    }
    await sleep(pollMs, undefined, { signal, ref: false }).catch(() => undefined);
  }
}

type Found = "connected" | "not connected" | "silent" | "refused";

function codeOf(found: Found): number {
  if (found === "refused") return ENDS.key;
  return found === "silent" ? ENDS.away : ENDS.notConnected;
}

async function ask(account: WppAccount): Promise<Found> {
  try {
    return (await account.status()) === "connected" ? "connected" : "not connected";
  } catch (error) {
    const isRefused =
      error instanceof WppError && ["key_invalid", "unauthorised"].includes(error.kind);
    return isRefused ? "refused" : "silent";
  }
}
