import {
  ChangeNumber,
  CreateNumber,
  ManylineError,
  newNumberId,
  numberAdded,
  numberRemoved,
  numberUpdated,
  parseNumberId,
  shardPoke,
} from "@manyline/contracts";
import {
  createNumber,
  getNumber,
  listNumbers,
  lockPrimaryNumber,
  readStatus,
  removeNumber,
  setMetaNumber,
  updateNumber,
  withCompany,
} from "@manyline/db";
import type { Executor, NumberPatch, NumberRow, Tx } from "@manyline/db";
import { invalidRequest } from "../problem.ts";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { logOut } from "../log-out.ts";
import { numberAnswer } from "../domain/answers.ts";
import type { CompanyFacts } from "../domain/answers.ts";
import { changedFields } from "../domain/changes.ts";
import { DEFAULT_MAX_NUMBERS, companyRow, numberFacts } from "../numbers.ts";
import type { Principal, Tenant } from "../request-types.ts";
import { companyWork } from "../work.ts";
import type { Work } from "../work.ts";
import { phoneOf } from "../company-input.ts";
import { CompanyParams, NumberParams, problems, ref } from "./schemas.ts";

const COMPANY = "/api/whatsapp/companies/:companyId";
const tags = ["numbers"];

const NumberEnvelope = {
  type: "object",
  required: ["success", "number"],
  properties: { success: { const: true }, number: ref("Number") },
};

export function registerNumbers(app: App, deps: Deps): void {
  app.post(
    `${COMPANY}/numbers`,
    {
      schema: {
        tags,
        summary: "Add a number; the first one is primary",
        params: CompanyParams,
        body: CreateNumber,
        response: { 201: NumberEnvelope, ...problems },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      refuseBound(principalOf(request));
      const { provider = "linked", phone = null, name = null, isPrimary } = request.body;
      const meta = metaOf(request.body);
      if (provider === "meta" && (!meta.wabaId || !meta.phoneNumberId)) {
        throw invalidRequest({ field: "wabaId", message: "is required, and so is phoneNumberId" });
      }
      if (provider !== "meta") refuseMeta(meta);
      if (provider === "wpp") {
        throw new ManylineError("PROVIDER_NOT_SUPPORTED", {
          detail: "Numbers of the WPP Platform are added with POST …/sessions/<company>/wpp.",
        });
      }
      const { number, facts } = await companyWork(deps, request, async (work) => {
        const company = await companyRow(work.tx, tenant);
        const former = isPrimary ? await lockPrimaryNumber(work.tx, tenant.companyNo) : undefined;
        const made = await createNumber(work.tx, tenant.companyNo, {
          numberId: newNumberId(),
          provider,
          phone: phoneOf(phone, company.country),
          name,
          makePrimary: isPrimary,
          maxNumbers: company.whatsappConfig.maxNumbersPerCompany ?? DEFAULT_MAX_NUMBERS,
        });
        const row = await placed(deps, work.tx, tenant.companyId, made, meta);
        if (former) tellDemoted(work, tenant, former);
        work.emit(numberAdded, { ...tenant, number: row }, numberFacts(row));
        work.note("number.added", row.numberId, { provider, isPrimary: row.isPrimary });
        return { number: row, facts: await factsOf(work.tx, row) };
      });
      deps.bus.poke(shardPoke(number.shardId));
      return reply
        .code(201)
        .send({ success: true, number: numberAnswer(number, tenant.companyId, facts) });
    },
  );

  app.get(
    `${COMPANY}/numbers`,
    {
      schema: {
        tags,
        summary: "List the company's numbers, the primary one first",
        params: CompanyParams,
        response: {
          200: {
            type: "object",
            required: ["success", "numbers"],
            properties: {
              success: { const: true },
              numbers: { type: "array", items: ref("Number") },
            },
          },
          ...problems,
        },
      },
    },
    async (request) => {
      const tenant = tenantOf(request);
      const { numberNo } = principalOf(request);
      return withCompany(deps.appDb, tenant.companyNo, async (tx) => {
        const all = await listNumbers(tx, tenant.companyNo);
        const rows = all.filter((row) => numberNo === null || row.numberNo === numberNo);
        const [first] = rows;
        if (!first) return { success: true, numbers: [] };
        // Owner and limit are the company's, so one number's facts hold for all.
        const facts = await factsOf(tx, first);
        return {
          success: true,
          numbers: rows.map((row) => numberAnswer(row, tenant.companyId, facts)),
        };
      });
    },
  );

  app.get(
    `${COMPANY}/numbers/:numberId`,
    {
      schema: {
        tags,
        summary: "Read a number",
        params: NumberParams,
        response: { 200: NumberEnvelope, ...problems },
      },
    },
    async (request) => {
      const tenant = tenantOf(request);
      return withCompany(deps.appDb, tenant.companyNo, async (tx) => {
        const row = await numberOfPath(tx, tenant, principalOf(request), request.params.numberId);
        const number = numberAnswer(row, tenant.companyId, await factsOf(tx, row));
        return { success: true, number };
      });
    },
  );

  app.patch(
    `${COMPANY}/numbers/:numberId`,
    {
      schema: {
        tags,
        summary: "Change a number; isPrimary true takes it from the other",
        params: NumberParams,
        body: ChangeNumber,
        response: { 200: NumberEnvelope, ...problems },
      },
    },
    async (request) => {
      const tenant = tenantOf(request);
      const { number, facts } = await companyWork(deps, request, async (work) => {
        const { tx } = work;
        const before = await numberOfPath(
          tx,
          tenant,
          principalOf(request),
          request.params.numberId,
        );
        const { country } = await companyRow(tx, tenant);
        const { phone, wabaId, phoneNumberId, accessToken, ...plain } = request.body;
        const meta = metaOf({ wabaId, phoneNumberId, accessToken });
        if (before.provider !== "meta") refuseMeta(meta);
        const patch: NumberPatch = {
          ...plain,
          ...(phone === undefined ? {} : { phone: phoneOf(phone, country) }),
        };
        const changed = await changeNumber(work, tenant, before, patch);
        const row = await placed(deps, tx, tenant.companyId, changed, meta);
        if (Object.keys(meta).length > 0) {
          work.note("number.meta_set", row.numberId, { changed: Object.keys(meta) });
        }
        return { number: row, facts: await factsOf(tx, row) };
      });
      deps.bus.poke(shardPoke(number.shardId));
      return { success: true, number: numberAnswer(number, tenant.companyId, facts) };
    },
  );

  app.delete(
    `${COMPANY}/numbers/:numberId`,
    {
      schema: {
        tags,
        summary: "Remove a number: log out at WhatsApp if it can be reached, erase its credentials",
        params: NumberParams,
        response: {
          200: {
            type: "object",
            required: ["success", "companyId", "numberId", "loggedOut", "promoted"],
            properties: {
              success: { const: true },
              companyId: { type: "string" },
              numberId: { type: "string" },
              loggedOut: {
                type: "boolean",
                description: "false: nobody could tell WhatsApp; remove the device on the phone",
              },
              promoted: { type: ["string", "null"], description: "the new primary number" },
            },
          },
          ...problems,
        },
      },
    },
    async (request) => {
      const tenant = tenantOf(request);
      const { companyNo, companyId } = tenant;
      const number = await withCompany(deps.appDb, companyNo, (tx) =>
        numberOfPath(tx, tenant, principalOf(request), request.params.numberId),
      );
      const loggedOut = (await logOut(deps, [number])).has(number.numberNo);
      const promoted = await companyWork(deps, request, async ({ tx, emit, note }) => {
        const outcome = await removeNumber(tx, companyNo, number.numberNo);
        if (!outcome.removed) throw new ManylineError("NUMBER_NOT_FOUND");
        emit(numberRemoved, { ...tenant, number }, numberFacts(number));
        note("number.removed", number.numberId, { loggedOut });
        const next = outcome.promoted;
        if (next) {
          const facts = { ...numberFacts(next), changed: ["isPrimary"] };
          emit(numberUpdated, { ...tenant, number: next }, facts);
        }
        return next?.numberId ?? null;
      });
      deps.bus.poke(shardPoke(number.shardId));
      return { success: true, companyId, numberId: number.numberId, loggedOut, promoted };
    },
  );
}

/** Writes a change of what a person sets, and tells it; a change that changes nothing does neither. */
export async function changeNumber(
  work: Work,
  tenant: Tenant,
  before: NumberRow,
  patch: NumberPatch,
): Promise<NumberRow> {
  const changed = changedFields<NumberPatch>(before as NumberPatch, patch);
  if (changed.length === 0) return before;
  const former = patch.isPrimary ? await lockPrimaryNumber(work.tx, tenant.companyNo) : undefined;
  const after = await updateNumber(work.tx, tenant.companyNo, before.numberNo, patch);
  if (!after) throw new ManylineError("NUMBER_NOT_FOUND");
  if (former && former.numberNo !== after.numberNo) tellDemoted(work, tenant, former);
  work.emit(numberUpdated, { ...tenant, number: after }, { ...numberFacts(after), changed });
  work.note("number.updated", after.numberId, { changed });
  return after;
}

/** The number that was primary until now. */
function tellDemoted(work: Work, tenant: Tenant, former: NumberRow): void {
  const facts = { ...numberFacts(former), isPrimary: false, changed: ["isPrimary"] };
  work.emit(numberUpdated, { ...tenant, number: former }, facts);
}

async function numberOfPath(
  executor: Executor,
  tenant: Tenant,
  principal: Principal,
  text: string,
): Promise<NumberRow> {
  const numberId = parseNumberId(text);
  const row =
    numberId === undefined ? undefined : await getNumber(executor, tenant.companyNo, numberId);
  const isForeign = principal.numberNo !== null && principal.numberNo !== row?.numberNo;
  if (!row || isForeign) throw new ManylineError("NUMBER_NOT_FOUND");
  return row;
}

async function factsOf(executor: Executor, row: NumberRow): Promise<CompanyFacts> {
  const status = await readStatus(executor, row.companyNo, row.numberNo);
  if (!status) throw new ManylineError("NUMBER_NOT_FOUND");
  return status;
}

type MetaWish = { wabaId?: string; phoneNumberId?: string; accessToken?: string };

/** What a body says of Meta, and nothing else of it. */
function metaOf(body: { [Name in keyof MetaWish]?: string | undefined }): MetaWish {
  const { wabaId, phoneNumberId, accessToken } = body;
  return {
    ...(wabaId === undefined ? {} : { wabaId }),
    ...(phoneNumberId === undefined ? {} : { phoneNumberId }),
    ...(accessToken === undefined ? {} : { accessToken }),
  };
}

function refuseMeta(meta: MetaWish): void {
  const [field] = Object.keys(meta);
  if (field !== undefined) throw invalidRequest({ field, message: "is for Meta numbers only" });
}

/**
 * The number at its place with Meta; its owner asks Meta about it. A number of the company that is named for it, and
 * of no other, gets the token of the environment if it has none. With that token, whoever gave it, it gets the next one.
 */
async function placed(
  { keyring, config }: Pick<Deps, "keyring" | "config">,
  tx: Tx,
  companyId: string,
  row: NumberRow,
  meta: MetaWish,
): Promise<NumberRow> {
  const { defaultCompany, defaultToken } = config.meta;
  const isDefault = companyId === defaultCompany;
  const common = isDefault && !row.hasToken ? defaultToken : undefined;
  const { wabaId = row.wabaId, phoneNumberId = row.phoneNumberId, accessToken = common } = meta;
  if (Object.keys(meta).length === 0 || wabaId === null || phoneNumberId === null) return row;
  const isCommon = isDefault && accessToken === defaultToken;
  await setMetaNumber(tx, keyring, row, { wabaId, phoneNumberId, accessToken, isCommon });
  return (await getNumber(tx, row.companyNo, row.numberId)) ?? row;
}

/** A token for one number may not make others. */
export function refuseBound(principal: Principal): void {
  if (principal.numberNo !== null) {
    throw new ManylineError("FORBIDDEN", { detail: "This token is for one number only." });
  }
}
