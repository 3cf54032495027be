import { withCompany } from "@manyline/db";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Type } from "typebox";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { companyRow, findNumber } from "../numbers.ts";
import { EventStream } from "../streams/event-stream.ts";
import { SseResponse } from "../streams/sse.ts";
import { CompanyParams, NumberQuery, problems } from "./schemas.ts";

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
          "After Last-Event-ID (header or ?lastEventId=) what was missed is repeated and followed by another `snapshot`. `lag` says that events may be late, `ended` that the token or the number is gone. " +
          "An open stream keeps a pairing attempt alive.",
        params: CompanyParams,
        querystring: Type.Object(
          {
            ...NumberQuery.properties,
            lastEventId: Type.Optional(Type.String({ description: "as the header Last-Event-ID" })),
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
      const tenant = tenantOf(request);
      const principal = principalOf(request);
      const { number: wanted, lastEventId } = request.query;
      const numberNo = await withCompany(deps.appDb, tenant.companyNo, async (tx) => {
        await companyRow(tx, tenant);
        if (wanted === undefined && principal.numberNo === null) return null;
        return (await findNumber(tx, tenant, principal, wanted))?.numberNo ?? null;
      });
      await open(deps, request, reply, numberNo, lastEventIdOf(request, lastEventId));
      return reply;
    },
  );
}

async function open(
  deps: Deps,
  request: FastifyRequest,
  reply: FastifyReply,
  numberNo: number | null,
  lastEventId: string | undefined,
): Promise<void> {
  const tenant = tenantOf(request);
  const principal = principalOf(request);
  let stream: EventStream | undefined;
  const place = deps.streams.join(tenant.companyId, principal.tokenId, () => stream?.wake());
  let reason = "failed";
  try {
    const headers = Object.entries(reply.getHeaders()).flatMap(([name, value]) =>
      typeof value === "string" || typeof value === "number" ? [[name, value] as const] : [],
    );
    reply.hijack();
    const sse = new SseResponse(reply.raw, Object.fromEntries(headers));
    stream = new EventStream(deps, { tenant, principal, numberNo, lastEventId }, sse);
    reply.raw.once("close", () => stream?.wake());
    deps.reports.streamOpened();
    reason = await stream.run(place.signal);
    if (reason !== "stopping" && reason !== "left") {
      await sse.send({ event: "ended", data: { reason } });
    }
  } catch (error) {
    deps.reports.requestFailed(request.id, "events", error);
  } finally {
    place.leave();
    deps.reports.streamClosed(reason);
    reply.raw.end();
  }
}

/** What is no event id is treated as none: the state is sent either way. */
function lastEventIdOf(request: FastifyRequest, query: string | undefined): string | undefined {
  const header = request.headers["last-event-id"];
  const text = typeof header === "string" ? header : query;
  return text !== undefined && EVENT_ID.test(text) ? text : undefined;
}
