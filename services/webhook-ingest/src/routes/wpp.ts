/**
 * `POST /webhooks/wpp/:webhookKey`: webhooks of the WPP Platform and of WPPConnect Server. Neither signs them: who knows
 * the key of a number may speak for it, as long as it names that number's session.
 */
import {
  normaliseWppConnect,
  normaliseWppPlatform,
  parseMetaBody,
  type WppItem,
} from "@manyline/contracts";
import { findWppHook, isUnavailable, type WppHook } from "@manyline/db";
import { MediaStoreError } from "@manyline/media";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Deps } from "../deps.ts";
import { BusyError } from "../micro-batcher.ts";
import type { WppOutcome } from "../reports.ts";
import type { HttpApp } from "../server.ts";
import { isSameText } from "../signature.ts";

const PATH = "/webhooks/wpp/:webhookKey";
const KEY = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const RETRY_AFTER_SECONDS = "5";

const STATUS: Record<WppOutcome, number> = {
  taken: 200,
  bad_key: 401,
  too_large: 413,
  unreadable: 400,
  busy: 503,
  unavailable: 503,
  failed: 500,
};

/** `isPrepared`: Postgres was there, with the schema of this build. */
export function registerWpp(app: HttpApp, deps: Deps, isPrepared: () => boolean): void {
  const { bodyBytes, readingBytes } = deps.config.wpp;
  const hooks = new WeakMap<FastifyRequest, WppHook>();
  let reading = 0;

  const answer = (reply: FastifyReply, outcome: WppOutcome): FastifyReply => {
    deps.reports.wpp(outcome, reply.elapsedTime);
    if (STATUS[outcome] === 503) reply.header("retry-after", RETRY_AFTER_SECONDS);
    // Of a body that is not read the connection is closed, not drained.
    if (outcome !== "taken") reply.header("connection", "close");
    return reply.code(STATUS[outcome]).send({ success: outcome === "taken" });
  };

  app.post(
    PATH,
    {
      bodyLimit: bodyBytes,
      // Before the body: nobody without a key can have megabytes read here.
      onRequest: async (request, reply) => {
        if (!isPrepared()) return answer(reply, "unavailable");
        try {
          const hook = await hookOf(deps, request);
          if (!hook) return answer(reply, "bad_key");
          hooks.set(request, hook);
        } catch (error) {
          if (isUnavailable(error)) return answer(reply, "unavailable");
          deps.reports.notStored(error);
          return answer(reply, "failed");
        }
        const declared = Number(request.headers["content-length"] ?? bodyBytes);
        const bytes = Math.min(declared, bodyBytes);
        if (reading > 0 && reading + bytes > readingBytes) return answer(reply, "busy");
        reading += bytes;
        reply.raw.once("close", () => {
          reading -= bytes;
        });
        return undefined;
      },
      errorHandler: (error, _request, reply) => {
        const { statusCode = 500 } = error as { statusCode?: number };
        if (statusCode >= 500) deps.reports.notStored(error);
        const isTooLarge = statusCode === 413;
        answer(reply, isTooLarge ? "too_large" : statusCode < 500 ? "unreadable" : "failed");
      },
    },
    async (request, reply) => {
      const hook = hooks.get(request);
      return answer(reply, hook ? await takeWebhook(deps, request, hook) : "bad_key");
    },
  );
}

/** The number whose key stands in the address; compared once more without telling by time where two differ. */
async function hookOf({ db }: Deps, request: FastifyRequest): Promise<WppHook | undefined> {
  const key = String(Object(request.params)["webhookKey"]).toLowerCase();
  const hook = KEY.test(key) ? await findWppHook(db, key) : undefined;
  const isSame = isSameText(key, hook?.webhookKey ?? "");
  return isSame ? hook : undefined;
}

async function takeWebhook(
  deps: Deps,
  request: FastifyRequest,
  hook: WppHook,
): Promise<WppOutcome> {
  const body = bodyOf(request.body);
  if (body === undefined) return "unreadable";
  const items = itemsOf(body.value, request, deps.clock.now());
  const named = items.flatMap(({ facts: { session } }) => (session === null ? [] : [session]));
  const isOwn = named.map((session) => isSameText(session, hook.session ?? ""));
  if (isOwn.includes(false) || (named.length > 0 && hook.session === null)) return "bad_key";
  deps.reports.wppPieces(items);
  try {
    const files = await deps.wppFiles.keep(hook.companyNo, items);
    try {
      const kept = await deps.wpp.take(hook, items, files);
      await deps.wppFiles.drop([...files.values()].filter(({ mediaId }) => !kept.has(mediaId)));
    } catch (error) {
      // A commit whose answer was lost may have been one.
      if (!isUnavailable(error)) await deps.wppFiles.drop(files.values());
      throw error;
    }
    return "taken";
  } catch (error) {
    if (error instanceof BusyError) return "busy";
    if (error instanceof MediaStoreError || isUnavailable(error)) return "unavailable";
    deps.reports.notStored(error);
    return "failed";
  }
}

/** WPPConnect names `event` and `session` in all that it tells, the platform an account. */
function itemsOf(value: unknown, request: FastifyRequest, now: Date): WppItem[] {
  const { event, session, account } = Object(value) as Record<string, unknown>;
  if (typeof event === "string" && session !== undefined && account === undefined) {
    return [normaliseWppConnect(value, now)];
  }
  const query = Object(request.query) as Record<string, unknown>;
  const given = query["account"];
  const options = typeof given === "string" ? { account: given, now } : { now };
  return normaliseWppPlatform(value, options);
}

function bodyOf(raw: unknown): { value: unknown } | undefined {
  try {
    const value: unknown = parseMetaBody(Buffer.isBuffer(raw) ? raw.toString() : "");
    return typeof value === "object" && value !== null ? { value } : undefined;
  } catch {
    return undefined;
  }
}
