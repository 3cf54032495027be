import { ManylineError, parseNumberId } from "@manyline/contracts";
import type { UsageAnswer } from "@manyline/contracts";
import { getNumber, readPortfolio, readUsage, withCompany } from "@manyline/db";
import { Type } from "typebox";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { NumberParams, problems, ref } from "./schemas.ts";

const COMPANY = "/api/whatsapp/companies/:companyId";
const DAY_MS = 86_400_000;
const USUAL_DAYS = 30;

const Day = Type.String({ format: "date" });
const Query = Type.Object(
  {
    from: Type.Optional(Day),
    to: Type.Optional(Day),
  },
  { additionalProperties: false },
);

export function registerUsage(app: App, deps: Deps): void {
  app.get(
    `${COMPANY}/numbers/:numberId/usage`,
    {
      schema: {
        tags: ["numbers"],
        summary: "What Meta charges for, by day (UTC); without dates the last 30 days",
        params: NumberParams,
        querystring: Query,
        response: { 200: ref("UsageAnswer"), ...problems },
      },
    },
    async (request): Promise<UsageAnswer> => {
      const { companyNo } = tenantOf(request);
      const { numberNo: bound } = principalOf(request);
      const numberId = parseNumberId(request.params.numberId);
      const now = deps.clock.now().getTime();
      const to = request.query.to ?? dayOf(now);
      const from = request.query.from ?? dayOf(Date.parse(to) - (USUAL_DAYS - 1) * DAY_MS);
      return withCompany(deps.appDb, companyNo, async (tx) => {
        const number = numberId && (await getNumber(tx, companyNo, numberId));
        if (!number || (bound !== null && bound !== number.numberNo)) {
          throw new ManylineError("NUMBER_NOT_FOUND");
        }
        if (number.provider !== "meta") throw new ManylineError("PROVIDER_NOT_SUPPORTED");
        const usage = await readUsage(tx, number, from, to);
        const portfolio = (await readPortfolio(tx, number)) ?? null;
        const billable = usage.filter(({ isBillable }) => isBillable);
        const totals = {
          priced: sum(usage.map(({ priced }) => priced)),
          delivered: sum(usage.map(({ delivered }) => delivered)),
          billable: sum(billable.map(({ delivered }) => delivered)),
        };
        return { success: true, numberId: number.numberId, from, to, totals, usage, portfolio };
      });
    },
  );
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
