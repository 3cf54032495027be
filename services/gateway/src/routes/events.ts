import { withCompany } from "@manyline/db";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Type } from "typebox";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { companyRow, findNumber } from "../numbers.ts";
import { invalidRequest } from "../problem.ts";
import { EventStream } from "../streams/event-stream.ts";
import { SseResponse } from "../streams/sse.ts";
import type { StreamRequest } from "../streams/stream-view.ts";
import { CompanyParams, NumberQuery, problems } from "./schemas.ts";

/** Ends of which the reader is told nothing: it is gone, or shall simply come again. */
const UNTOLD: ReadonlySet<string> = new Set(["stopping", "left", "slow"]);
const EVENT_ID = /^evt_[0-9a-f]{32}$/;

export function registerEvents(app: App, deps: Deps): void {
  app.get(
    "/api/whatsapp/sessions/:companyId/events",
    {
      schema: {
        tags: ["sessions"],
        summary: "Events as they happen (Server-Sent Events)",
        description:
          "First `snapshot`, the status answer; then every event of the number and of the company, `id` being the event's id. Without ?number= a company's token sees all its numbers, a pairing page its one. " +
          "With scope `pair`, `pairing.qr_issued` and `pairing.code_issued` carry `qr` and `code` while they can be used. " +
          "After Last-Event-ID (header or ?lastEventId=) all that was missed is repeated and followed by another `snapshot`; `lost` says that the log does not hold that event (any more: it goes back 8 days or longer). A commit may appear some seconds after a younger one: to miss nothing go on from 15 s before the `loggedAt` of the last event (of `snapshot` its `serverTime`), with ?since=, and drop by `id` what you have had. Without scope `read` no messages and people are told. `lag` says that events may be late, `ended` that the token or the number is gone. " +
          "An open stream keeps a pairing attempt alive.",
        params: CompanyParams,
        querystring: Type.Object(
          {
            ...NumberQuery.properties,
            lastEventId: Type.Optional(Type.String({ description: "as the header Last-Event-ID" })),
            since: Type.Optional(
              Type.String({
                pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}Z$",
                description: "a time (RFC 3339, UTC): repeats what was written after it",
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: {
          200: {
            description: "the stream",
            content: { "text/event-stream": { schema: { type: "string" } } },
          },
          ...problems,
        },
      },
    },
    async (request, reply) => {
      const { companyId } = tenantOf(request);
      const { tokenId } = principalOf(request);
      let wake: () => void = () => undefined;
      // Counted before anything is waited for: so many at once are not more than one after another.
      const place = deps.streams.join(companyId, tokenId, () => wake());
      try {
        const numberNo = await numberOf(deps, request, request.query.number);
        const lastEventId = lastEventIdOf(request, request.query.lastEventId);
        const since = sinceOf(request.query.since);
        await stream(
          deps,
          request,
          reply,
          { numberNo, lastEventId, since },
          place.signal,
          (call) => {
            wake = call;
          },
        );
      } finally {
        place.leave();
      }
      return reply;
    },
  );
}

/** Null: the stream is about all numbers of the company. */
function numberOf(
  deps: Deps,
  request: FastifyRequest,
  wanted: string | undefined,
): Promise<number | null> {
  const tenant = tenantOf(request);
  const principal = principalOf(request);
  return withCompany(deps.appDb, tenant.companyNo, async (tx) => {
    await companyRow(tx, tenant);
    if (wanted === undefined && principal.numberNo === null) return null;
    return (await findNumber(tx, tenant, principal, wanted))?.numberNo ?? null;
  });
}

/** Answers with a stream, and resolves when it has ended. */
async function stream(
  deps: Deps,
  request: FastifyRequest,
  reply: FastifyReply,
  what: Pick<StreamRequest, "numberNo" | "lastEventId" | "since">,
  signal: AbortSignal,
  onWake: (wake: () => void) => void,
): Promise<void> {
  const tenant = tenantOf(request);
  const principal = principalOf(request);
  const headers = Object.entries(reply.getHeaders()).flatMap(([name, value]) =>
    typeof value === "string" || typeof value === "number" ? [[name, value] as const] : [],
  );
  reply.hijack();
  const sse = new SseResponse(reply.raw, Object.fromEntries(headers));
  const events = new EventStream(deps, { tenant, principal, ...what }, sse);
  onWake(() => events.wake());
  reply.raw.once("close", () => events.wake());
  deps.reports.streamOpened();
  let reason = "failed";
  try {
    reason = await events.run(signal);
    if (!UNTOLD.has(reason)) await sse.send({ event: "ended", data: { reason } });
  } catch (error) {
    deps.reports.requestFailed(request.id, "events", error);
  } finally {
    deps.reports.streamClosed(reason);
    sse.end();
  }
}

/** Throws INVALID_REQUEST. */
function sinceOf(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const since = new Date(text);
  if (Number.isNaN(since.getTime())) {
    throw invalidRequest({ field: "since", message: "must be a time" });
  }
  return since;
}

/** What is no event id is treated as none: the state is sent either way. */
function lastEventIdOf(request: FastifyRequest, query: string | undefined): string | undefined {
  const header = request.headers["last-event-id"];
  const text = typeof header === "string" ? header : query;
  return text !== undefined && EVENT_ID.test(text) ? text : undefined;
}
