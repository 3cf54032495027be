/** What the people of a company were told by mail and SMS, and how it went. */
import type { Notification } from "@manyline/contracts";
import { listNotifications, type NotificationRow, withCompany } from "@manyline/db";
import { Type } from "typebox";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { invalidRequest } from "../problem.ts";
import { envelope, LimitField, limitOf, listOf, Next } from "./operator-schemas.ts";
import { CompanyParams, problems, ref } from "./schemas.ts";

const COMPANY = "/api/whatsapp/companies/:companyId";

export function registerNotifications(app: App, deps: Deps): void {
  app.get(
    `${COMPANY}/notifications`,
    {
      schema: {
        tags: ["companies"],
        summary: "What people were told by mail and SMS in 30 days, the newest first",
        params: CompanyParams,
        querystring: Type.Object(
          {
            before: Type.Optional(Type.String({ description: "`next` of the page before" })),
            limit: LimitField,
          },
          { additionalProperties: false },
        ),
        response: {
          200: envelope({ notifications: listOf(ref("Notification")), next: Next }),
          ...problems,
        },
      },
    },
    async (request) => {
      const { companyNo } = tenantOf(request);
      const { before } = request.query;
      const limit = limitOf(request.query.limit);
      if (before !== undefined && !/^[1-9][0-9]{0,14}$/.test(before)) {
        throw invalidRequest({ field: "before", message: "must be `next` of a page" });
      }
      const rows = await withCompany(deps.appDb, companyNo, (tx) =>
        listNotifications(tx, companyNo, {
          numberNo: principalOf(request).numberNo ?? undefined,
          before: before === undefined ? undefined : Number(before),
          limit: limit + 1,
        }),
      );
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      const next = rows.length > limit && last ? String(last.notificationNo) : null;
      return { success: true, notifications: page.map(notificationOf), next };
    },
  );
}

function notificationOf(row: NotificationRow): Notification {
  const { numberId, channel, address, state, isRepeat, letterId, tries } = row;
  return {
    kind: row.kind as Notification["kind"],
    numberId,
    channel,
    address,
    state,
    isRepeat,
    letterId,
    tries,
    createdAt: row.createdAt.toISOString(),
    endedAt: row.endedAt?.toISOString() ?? null,
  };
}
