/** Brings a WPP number up: with the client it has, or with a new one. */
import { setTimeout as sleep } from "node:timers/promises";
import { type CommandArgs, maskWppKey } from "@manyline/contracts";
import type { WppNumber } from "@manyline/db";
import type { NumberRef, WppOpening } from "../provider.ts";
import { WppError } from "./errors.ts";
import type { WppLine } from "./line.ts";
import { isConfigured, lineOf, note, webhookUrlOf, type WppParts } from "./parts.ts";
import type { WppClientKey } from "./platform.ts";

type Wish = CommandArgs<"open_wpp">;

const LATE_START_MS = 5_000;

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
  const { fence } = number;
  const before = performance.now();
  const known = await parts.store.load(fence);
  if (!known) return { refused: "WPP_REFUSED" };
  const isReplaced = wish.branch === "recreate" && (known.client?.session ?? null) === realOf(wish);
  const isReused = known.client !== null && !isReplaced;
  if (!isConfigured(known.server, parts)) return { refused: "WPP_NOT_CONFIGURED" };
  let client = known.client;
  if (!client || isReplaced) {
    const made = await makeClient(number, wish, known, parts);
    if ("answer" in made) return made.answer;
    ({ client } = made);
  }
  const { apiKey, session } = client;
  const line = lineOf({ ...known, client }, number, parts);
  const up = bringUp(number, line, known, isReused, parts).then(async (found) => {
    await endIfForeign(number, line, parts);
    return found;
  });
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

type Made = { client: WppClientKey } | { answer: WppOpening };

/** A client that is stored; else what is to be said instead. */
async function makeClient(
  number: NumberRef,
  wish: Wish,
  known: WppNumber,
  parts: WppParts,
): Promise<Made> {
  const { logger, store } = parts;
  try {
    if (known.client && wish.branch === "recreate") {
      await stopQuietly(lineOf({ ...known, client: known.client }, number, parts));
    }
    const client =
      known.server === "wppconnect"
        ? await clientAtConnect(number, parts)
        : await clientAtPlatform(number, wish, known, parts);
    const isKept = client !== undefined && (await store.save(number.fence, client));
    if (isKept) return { client };
    note(number, logger, "wpp.key_reused");
    return { answer: { refused: "WPP_KEY_REUSED" } };
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

/** Undefined: what the platform gave is another number's. Throws WppError. */
async function clientAtPlatform(
  { fence, companyId }: NumberRef,
  wish: Wish,
  known: WppNumber,
  { platform, secret, store }: WppParts,
): Promise<WppClientKey | undefined> {
  if (!platform || secret === undefined) throw new Error("there is no WPP Platform");
  const { nextSubOrgId: unfinished } = known;
  const needsOwn = wish.branch !== "reconnect" || known.isStale;
  const isFresh = known.subOrgId === null || wish.branch === "recreate" || known.isStale;
  // A try that was cut off may have made a client: the id is stored before it is used, and used until its client is stored.
  const nextSubOrgId = unfinished ?? (needsOwn && isFresh ? wish.subOrgId : null);
  if (nextSubOrgId !== unfinished) await store.noteOrganisation(fence, nextSubOrgId);
  const organizationId = nextSubOrgId ?? known.subOrgId ?? companyId;
  const { apiKey, session } = await platform.create(secret, organizationId);
  const client = { apiKey, session };
  if (await store.isTaken(fence, client)) {
    await store.noteOrganisation(fence, null);
    return undefined;
  }
  try {
    // Only the plain id of a company can have been somebody's before.
    await platform.account(client).firstToken(organizationId === companyId);
  } catch (error) {
    // Late once may be late; late at the second asking is one that does not come.
    const isHopeless = error instanceof WppError && error.kind === "key_not_active";
    if (isHopeless && unfinished !== null) await store.noteOrganisation(fence, null);
    throw error;
  }
  return client;
}

/** Its session is ours to name: short, or the server's hash of the name would leave its secret out. */
async function clientAtConnect(
  { numberId }: NumberRef,
  { connect }: WppParts,
): Promise<WppClientKey> {
  if (!connect) throw new Error("there is no WPPConnect Server");
  const session = `ml${numberId.replace(/^num_/, "").slice(0, 28)}`;
  return { session, apiKey: await connect.token(session) };
}

/** Whether a scan is waited for, or it is lost, or it was never looked at: it may run at its server. */
export async function endWppSession(number: NumberRef, parts: WppParts): Promise<boolean> {
  const known = await parts.store.load(number.fence);
  if (!known?.client || !isConfigured(known.server, parts)) return false;
  const line = lineOf({ ...known, client: known.client }, number, parts);
  const isTold = await stopQuietly(line);
  lookAgainLater(number, line, parts);
  return isTold;
}

/** A start that was on its way may come behind the end, and with the row the key is gone. */
export function lookAgainLater(number: NumberRef, line: WppLine, parts: WppParts): void {
  setTimeout(() => void endIfForeign(number, line, parts), LATE_START_MS).unref();
}

/** Ends the session if its number is in no row any more, or has another one. Never rejects. */
export async function endIfForeign(
  { fence }: NumberRef,
  line: WppLine,
  { store }: WppParts,
): Promise<void> {
  try {
    const known = await store.load(fence);
    if (known?.client?.session !== line.session) await line.logout();
  } catch {
    // Whose it is, or the server, cannot be asked now.
  }
}

/** False: the server could not be told. The former session should not run on beside the new one; whether it can be told is another matter. */
async function stopQuietly(line: WppLine): Promise<boolean> {
  try {
    await line.logout();
    return true;
  } catch (error) {
    if (!(error instanceof WppError)) throw error;
    return false;
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
  line: WppLine,
  { webhookKey }: WppNumber,
  isReused: boolean,
  parts: WppParts,
): Promise<Found> {
  try {
    if (isReused && (await line.status()) === "connected") return { status: "connected" };
    const { state, qr } = await line.start(webhookUrlOf(webhookKey, parts));
    if (state === "connected") return { status: "connected" };
    if (qr) return { status: "qr_issued", qrcode: "image" in qr ? qr.image : qr.text };
    return { status: "starting" };
  } catch (error) {
    note(number, parts.logger, "wpp.start_failed", error);
    // The server may go on behind its proxy.
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
