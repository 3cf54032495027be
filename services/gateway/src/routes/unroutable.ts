import { ManylineError } from "@manyline/contracts";
import { askReplay, deleteUnroutable, listUnroutable } from "@manyline/db";
import { Type } from "typebox";
import type { App } from "../app.ts";
import type { Deps } from "../deps.ts";
import { operatorWork } from "../work.ts";
import { envelope, LimitField, limitOf, listOf } from "./operator-schemas.ts";
import { problems } from "./schemas.ts";

const BASE = "/api/whatsapp";
const tags = ["operations"];
const text = Type.Union([Type.String(), Type.Null()]);

const Row = Type.Object({
  reason: Type.String({ description: "why they belong to nobody; see docs/meta.md" }),
  wabaId: text,
  phoneNumberId: text,
  displayPhone: text,
  appCompanyId: text,
  fields: Type.Array(Type.String()),
  changes: Type.Integer(),
  pieces: Type.Integer({ description: "messages, statuses and notices in them" }),
  times: Type.Integer({ description: "how often they came" }),
  firstAt: Type.String(),
  lastAt: Type.String(),
});

const Place = Type.Object(
  {
    wabaId: Type.Optional(Type.String({ maxLength: 256 })),
    phoneNumberId: Type.Optional(Type.String({ maxLength: 256 })),
  },
  { additionalProperties: false },
);

export function registerUnroutable(app: App, deps: Deps): void {
  app.get(
    `${BASE}/unroutable`,
    {
      schema: {
        tags,
        summary: "Webhooks that belong to no number, by place and reason, the latest first",
        querystring: Type.Object({ limit: LimitField }, { additionalProperties: false }),
        response: { 200: envelope({ unroutable: listOf(Row) }), ...problems },
      },
    },
    async (request) => {
      const rows = await listUnroutable(deps.platformDb, limitOf(request.query.limit));
      const unroutable = rows.map((row) =>
        Object.assign({}, row, {
          firstAt: row.firstAt.toISOString(),
          lastAt: row.lastAt.toISOString(),
        }),
      );
      return { success: true, unroutable };
    },
  );

  app.post(
    `${BASE}/unroutable/replay`,
    {
      schema: {
        tags,
        summary: "Read them again, once the number is there; nothing is told twice",
        body: Place,
        response: { 202: envelope({ changes: Type.Integer() }), ...problems },
      },
    },
    async (request, reply) => {
      const changes = await operatorWork(deps, request, async ({ tx, note }) => {
        const count = await askReplay(tx, request.body);
        note("unroutable.replayed", request.body.phoneNumberId ?? null, { count });
        return count;
      });
      return reply.code(202).send({ success: true, changes });
    },
  );

  app.post(
    `${BASE}/unroutable/delete`,
    {
      schema: {
        tags,
        summary: "Forget them; a place must be named",
        body: Place,
        response: { 200: envelope({ changes: Type.Integer() }), ...problems },
      },
    },
    async (request) => {
      const { wabaId, phoneNumberId } = request.body;
      if (wabaId === undefined && phoneNumberId === undefined) {
        throw new ManylineError("INVALID_REQUEST", {
          detail: "wabaId or phoneNumberId is required.",
        });
      }
      const changes = await operatorWork(deps, request, async ({ tx, note }) => {
        const count = await deleteUnroutable(tx, request.body);
        note("unroutable.deleted", phoneNumberId ?? wabaId ?? null, { count });
        return count;
      });
      return { success: true, changes };
    },
  );
}
