/** Brings a WPP number up: with the client it has, or with a new one. */
import { setTimeout as sleep } from "node:timers/promises";
import { type CommandArgs, maskWppKey } from "@manyline/contracts";
import type { WppNumber } from "@manyline/db";
import type { Logger } from "@manyline/runtime";
import type { NumberRef, WppOpening } from "../provider.ts";
import { WppError } from "./errors.ts";
import type { WppAccount, WppClientKey, WppPlatform } from "./platform.ts";
import type { WppStore } from "./store.ts";

export type WppParts = {
  /** Undefined: this installation has no platform. */
  platform: WppPlatform | undefined;
  /** The application's own, with which clients are made. */
  secret: string | undefined;
  /** Where webhooks come in, without the number's key; undefined: none are asked for. */
  webhookUrl: string | undefined;
  store: WppStore;
  logger: Logger;
};

type Wish = CommandArgs<"open_wpp">;

/**
 * Answers within `ms` once there is a client: what takes longer goes on, and its result is in the status. Until the
 * client is stored nothing else of the number may run: two calls make one client. Throws FencedError.
 */
export async function openWppClient(
  number: NumberRef,
  wish: Wish,
  ms: number,
  parts: WppParts,
): Promise<WppOpening> {
  const { platform, store } = parts;
  const { fence } = number;
  const before = performance.now();
  const known = await store.load(fence);
  if (!known) return { refused: "WPP_REFUSED" };
  const isReplaced = wish.branch === "recreate" && (known.client?.session ?? null) === realOf(wish);
  const isReused = known.client !== null && !isReplaced;
  if (!platform) return { refused: "WPP_NOT_CONFIGURED" };
  let client = known.client;
  if (!client || isReplaced) {
    const made = await makeClient(number, wish, known, platform, parts);
    if ("answer" in made) return made.answer;
    ({ client } = made);
  }
  const { apiKey, session } = client;
  const account = platform.account(client);
  const up = bringUp(number, account, known.webhookKey, isReused, parts);
  const left = Math.max(0, ms - (performance.now() - before));
  const waiting = new AbortController();
  const late = sleep(left, { status: "starting" as const }, { signal: waiting.signal });
  const found = await Promise.race([up, late.catch(() => ({ status: "starting" as const }))]);
  waiting.abort();
  return { session, apiKey: maskWppKey(apiKey), ...found };
}

/** A stale session is as good as none. */
function realOf({ replaces }: Wish): string | null {
  return replaces === "client_system" ? null : replaces;
}

/** A client that is stored; else what is to be said instead. */
async function makeClient(
  number: NumberRef,
  wish: Wish,
  known: WppNumber,
  platform: WppPlatform,
  { secret, store, logger }: WppParts,
): Promise<{ client: WppClientKey } | { answer: WppOpening }> {
  const { fence, companyId } = number;
  if (secret === undefined) return { answer: { refused: "WPP_NOT_CONFIGURED" } };
  // A try whose answer was lost finds the client it has made: the id is stored before it is used.
  const needsOwn = wish.branch !== "reconnect" || known.isStale;
  const isFresh = known.subOrgId === null || wish.branch === "recreate" || known.isStale;
  const subOrgId = needsOwn && isFresh ? wish.subOrgId : known.subOrgId;
  const organizationId = subOrgId ?? companyId;
  if (subOrgId !== null && subOrgId !== known.subOrgId) {
    await store.noteOrganisation(fence, subOrgId);
  }
  try {
    if (known.client && wish.branch === "recreate") await stopQuietly(platform, known.client);
    const { apiKey, session } = await platform.create(secret, organizationId);
    const client = { apiKey, session };
    if (await store.isTaken(fence, client)) return reused(number, logger);
    // Only the plain id of a company can have been somebody's before.
    await platform.account(client).firstToken(organizationId === companyId);
    return (await store.save(fence, client)) ? { client } : reused(number, logger);
  } catch (error) {
    if (!(error instanceof WppError)) throw error;
    note(number, logger, "wpp.create_failed", error);
    if (error.kind === "key_reused") return { answer: { refused: "WPP_KEY_REUSED" } };
    if (error.kind === "unauthorised" || error.kind === "refused") {
      return { answer: { refused: "WPP_REFUSED" } };
    }
    const answer = { session: null, apiKey: null, status: "error" as const, error: error.message };
    return { answer };
  }
}

function reused(number: NumberRef, logger: Logger): { answer: WppOpening } {
  note(number, logger, "wpp.key_reused");
  return { answer: { refused: "WPP_KEY_REUSED" } };
}

/** The former session should not run on beside the new one; whether it can be told is another matter. */
async function stopQuietly(platform: WppPlatform, client: WppClientKey): Promise<void> {
  try {
    await platform.account(client).stop();
  } catch (error) {
    if (!(error instanceof WppError)) throw error;
  }
}

type Found = {
  status: "connected" | "starting" | "qr_issued" | "error";
  qrcode?: string;
  error?: string;
};

/** Never rejects: what goes wrong is what it finds. */
async function bringUp(
  number: NumberRef,
  account: WppAccount,
  webhookKey: string,
  isReused: boolean,
  { webhookUrl, logger }: WppParts,
): Promise<Found> {
  try {
    if (isReused && (await account.status()) === "connected") return { status: "connected" };
    // Before the start: a QR that nobody is told of would be lost.
    if (webhookUrl !== undefined) {
      await account
        .registerWebhook(`${webhookUrl}/webhooks/wpp/${webhookKey}`)
        .catch((error: unknown) => {
          note(number, logger, "wpp.webhook_failed", error);
        });
    }
    const { state, qr } = await account.start();
    if (state === "connected") return { status: "connected" };
    if (qr) return { status: "qr_issued", qrcode: "image" in qr ? qr.image : qr.text };
    return { status: "starting" };
  } catch (error) {
    note(number, logger, "wpp.start_failed", error);
    // The platform may go on behind its proxy.
    if (error instanceof WppError && error.kind === "gateway_timeout")
      return { status: "starting" };
    const isKeyOver = error instanceof WppError && error.kind === "key_invalid";
    const message = error instanceof Error ? error.message : "the start failed";
    return {
      status: "error",
      error: isKeyOver ? `${message}; force_recreate gives the number a new one` : message,
    };
  }
}

function note(
  { companyId, numberId }: NumberRef,
  logger: Logger,
  event: string,
  error?: unknown,
): void {
  const kind = error instanceof WppError ? { kind: error.kind } : {};
  const fields = { event, company_id: companyId, number_id: numberId, ...kind };
  logger.warn(error === undefined ? fields : { ...fields, err: error }, event);
}
