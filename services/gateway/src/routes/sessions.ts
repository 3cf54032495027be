import { ManylineError } from "@manyline/contracts";
import { listSessions, shardOfCompany } from "@manyline/db";
import type { SessionCursor } from "@manyline/db";
import { Type } from "typebox";
import type { App } from "../app.ts";
import type { Deps } from "../deps.ts";
import { sessionAnswer } from "../domain/operations.ts";
import { LimitField, Next, envelope, limitOf, listOf } from "./operator-schemas.ts";
import { problems, ref } from "./schemas.ts";

const BASE = "/api/whatsapp";

/** `12.345`: the place of a number among all; opaque to callers. */
const CURSOR = "^[1-9][0-9]{0,8}\\.[1-9][0-9]{0,8}$";

export function registerSessions(app: App, deps: Deps): void {
  app.get(
    `${BASE}/sessions`,
    {
      schema: {
        tags: ["operations"],
        summary: "List the numbers of all companies with their status, reason and health",
        querystring: Type.Object(
          {
            company: Type.Optional(Type.String({ description: "only this company's" })),
            after: Type.Optional(
              Type.String({ pattern: CURSOR, description: "`next` of the page before" }),
            ),
            limit: LimitField,
          },
          { additionalProperties: false },
        ),
        response: {
          200: envelope({ sessions: listOf(ref("Session")), next: Next }),
          ...problems,
        },
      },
    },
    async (request) => {
      const { company, after } = request.query;
      const limit = limitOf(request.query.limit);
      const found =
        company === undefined ? undefined : await shardOfCompany(deps.platformDb, company);
      if (company !== undefined && !found) throw new ManylineError("COMPANY_NOT_FOUND");
      const rows = await listSessions(deps.platformDb, {
        companyNo: found?.companyNo,
        after: after === undefined ? undefined : cursorOf(after),
        limit: limit + 1,
      });
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      const next = rows.length > limit && last ? `${last.companyNo}.${last.numberNo}` : null;
      return { success: true, sessions: page.map(sessionAnswer), next };
    },
  );
}

function cursorOf(text: string): SessionCursor {
  const [companyNo = "0", numberNo = "0"] = text.split(".");
  return { companyNo: Number(companyNo), numberNo: Number(numberNo) };
}
