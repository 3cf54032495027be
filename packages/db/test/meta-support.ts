/** Meta numbers and the webhooks they get, for tests. */
import { randomInt } from "node:crypto";
import { normaliseMeta } from "@manyline/contracts";
import {
  commitIngest,
  type CompanyRow,
  type Database,
  type IngestResult,
  type IngestWebhook,
  type NumberRow,
  setMetaNumber,
  withCompany,
} from "../src/index.ts";
import { addCompany, addNumber, type World } from "./support.ts";

export type MetaLine = {
  company: CompanyRow;
  number: NumberRow;
  wabaId: string;
  phoneNumberId: string;
};

export const someId = (): string => `9${randomInt(1e12, 9e12)}`;

/** A number that Meta has confirmed, or (`isActive` false) not yet. */
export async function addMetaNumber(
  world: World,
  more: {
    company?: CompanyRow;
    wabaId?: string;
    phoneNumberId?: string;
    phone?: string;
    isActive?: boolean;
  } = {},
): Promise<MetaLine> {
  const company = more.company ?? (await addCompany(world));
  const { phone } = more;
  const number = await addNumber(world, company.companyNo, {
    provider: "meta",
    ...(phone === undefined ? {} : { phone }),
  });
  const { wabaId = someId(), phoneNumberId = someId() } = more;
  await withCompany(world.app, company.companyNo, (tx) =>
    setMetaNumber(tx, world.test.keyring, number, { wabaId, phoneNumberId }),
  );
  if (more.isActive !== false) {
    await world.superuser.query("update numbers set is_active = true where number_no = $1", [
      number.numberNo,
    ]);
  }
  return { company, number, wabaId, phoneNumberId };
}

export type Entry = { id?: string; time?: number; changes: object[] };

export function webhookOf(
  entry: readonly Entry[],
  app: IngestWebhook["app"] = null,
): IngestWebhook {
  const raw = Buffer.from(JSON.stringify({ object: "whatsapp_business_account", entry }));
  const body: unknown = JSON.parse(raw.toString());
  return { webhook: normaliseMeta(body, new Date()), body, raw, app };
}

export function entryOf(line: Pick<MetaLine, "wabaId" | "phoneNumberId">, value: object): Entry {
  const metadata = { display_phone_number: "15550100001", phone_number_id: line.phoneNumberId };
  return {
    id: line.wabaId,
    changes: [{ field: "messages", value: { messaging_product: "whatsapp", metadata, ...value } }],
  };
}

let texts = 0;

/** A text that somebody wrote; every one has another id. */
export function textMessage(more: object = {}): { id: string } {
  texts += 1;
  return {
    from: "15550100019",
    id: `wamid.TEXT.${process.pid}.${texts}`,
    timestamp: String(Math.floor(Date.now() / 1_000) - 60),
    type: "text",
    text: { body: `hello ${texts}` },
    ...more,
  } as { id: string };
}

export function ingest(
  world: World,
  db: Database,
  ...webhooks: IngestWebhook[]
): Promise<IngestResult> {
  return commitIngest(db, world.test.keyring, { service: "webhook-ingest" }, webhooks);
}

/** What a subscriber would see of a company. */
export async function loggedTypes(world: World, { company }: MetaLine): Promise<string[]> {
  const { rows } = await world.superuser.query<{ type: string }>(
    "select type from whatsapp_events where company_no = $1 order by event_no",
    [company.companyNo],
  );
  return rows.map(({ type }) => type);
}
