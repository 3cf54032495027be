/** Whose the pieces of webhooks are: decided in the transaction that stores them. */
import type {
  CompanyId,
  MetaItem,
  MetaRoute,
  MetaWebhook,
  NumberId,
  Provider,
} from "@manyline/contracts";
import { sql } from "kysely";
import { rows, type Tx } from "../open.ts";
import type { InboundItem, InboundSource, PersonInput } from "./inbound-items.ts";

/** A webhook whose signature was good. */
export type IngestWebhook = {
  webhook: MetaWebhook;
  /** The parsed body, and the bytes it was parsed from: what has no number is kept. */
  body: unknown;
  raw: Buffer;
  /** The company whose own app has signed it; null: the app of all. */
  app: { companyNo: number; companyId: string } | null;
  /** It is in the journal, and ends there with this commit. */
  entryNo?: number | undefined;
  /** Of a part of a webhook: the place of the piece before, which is in an earlier part. */
  after?: MetaItem["place"] | undefined;
};

/** A piece of one of the webhooks. */
export type Piece = { from: IngestWebhook; item: MetaItem };

type MetaStatus = Extract<MetaItem["input"], { kind: "status" }>;
type MetaNotice = Extract<MetaItem["input"], { kind: "notice" }>;

export type StatusPiece = Omit<MetaStatus, "recipient"> & { recipient: PersonInput };
export type SamePiece = Extract<MetaItem["input"], { kind: "same_person" }>;
export type NoticePiece = Omit<MetaNotice, "person" | "data"> & {
  person: PersonInput | null;
  data: Omit<MetaNotice["data"], "provider"> & { provider: Provider };
};

/** What is to be stored for one number. */
export type Group = {
  source: InboundSource;
  items: InboundItem[];
  statuses: StatusPiece[];
  same: SamePiece[];
  notices: NoticePiece[];
  /** What concerns the company as a whole; told once, through this number's hold on it. */
  companyNotices: NoticePiece[];
};

type Held = {
  place: number;
  companyNo: number;
  numberNo: number;
  isNumber: boolean;
  epoch: number;
  companyId: CompanyId;
  numberId: NumberId;
  phone: string | null;
};

/** For the envelope of the events. */
export type Teller = { service: string; traceparent?: string | undefined };

const keyOf = ({ wabaId, phoneNumberId, displayPhone }: MetaRoute, only: number | null): string =>
  JSON.stringify([wabaId, phoneNumberId, phoneNumberId === null ? displayPhone : null, only]);

/**
 * Sorts the pieces by the numbers they are for, which are held until the end of the transaction. What is left is
 * for nobody. The groups are in the order of their keys, as everywhere where several are locked.
 */
export async function routePieces(
  tx: Tx,
  teller: Teller,
  pieces: readonly Piece[],
): Promise<{ groups: Group[]; lost: Piece[] }> {
  const places = new Map<string, number>();
  const wanted: { route: MetaRoute; only: number | null }[] = [];
  for (const { item, from } of pieces) {
    const only = from.app?.companyNo ?? null;
    const key = keyOf(item.route, only);
    if (places.has(key) || item.route.wabaId === null) continue;
    wanted.push({ route: item.route, only });
    places.set(key, wanted.length);
  }
  const held = await rows(
    tx,
    sql<Held>`select * from hold_routes(${wanted.map(({ route }) => route.wabaId)}::text[],
      ${wanted.map(({ route }) => route.phoneNumberId)}::text[],
      ${wanted.map(({ route }) => (route.phoneNumberId === null ? route.displayPhone : null))}::text[],
      ${wanted.map(({ only }) => only)}::int[])`,
  );
  const byPlace = Map.groupBy(held, ({ place }) => place);
  const targetsOf = ({ item, from }: Piece): Held[] =>
    byPlace.get(places.get(keyOf(item.route, from.app?.companyNo ?? null)) ?? 0) ?? [];
  const alone = await numbersAlone(tx, pieces, targetsOf);
  const groups = new Map<number, Group>();
  const lost: Piece[] = [];
  for (const piece of pieces) {
    const { item } = piece;
    const targets = targetsOf(piece).filter((one) => isFor(one, item, alone));
    if (targets.length === 0) lost.push(piece);
    for (const target of targets) {
      const group = groups.get(target.numberNo) ?? groupOf(teller, target);
      groups.set(target.numberNo, group);
      addTo(group, item, target.isNumber);
    }
  }
  const sorted = [...groups.values()].toSorted(
    ({ source: { fence: a } }, { source: { fence: b } }) =>
      a.companyNo - b.companyNo || a.numberNo - b.numberNo,
  );
  return { groups: sorted, lost };
}

/** News of an account are for whoever is in it; what somebody wrote, and a status, is for one number and no other. */
const isFor = (
  { isNumber, numberNo }: Held,
  { input }: MetaItem,
  alone: ReadonlySet<number>,
): boolean => isNumber || input.kind === "notice" || alone.has(numberNo);

/** Of the numbers that pieces might be for which name none: those that are the only active one in their account. */
async function numbersAlone(
  tx: Tx,
  pieces: readonly Piece[],
  targetsOf: (piece: Piece) => readonly Held[],
): Promise<Set<number>> {
  const unsure = new Set(
    pieces
      .filter(({ item: { input, route } }) => input.kind !== "notice" && !route.phoneNumberId)
      .flatMap((piece) => targetsOf(piece).flatMap((one) => (one.isNumber ? [] : one.numberNo))),
  );
  if (unsure.size === 0) return unsure;
  const found = await rows(
    tx,
    sql<{ numberNo: number }>`select n.number_no from numbers n
      where n.number_no = any (${[...unsure]}::int[]) and not exists (
        select from numbers o where o.waba_id = n.waba_id and o.is_active and o.number_no <> n.number_no)`,
  );
  return new Set(found.map(({ numberNo }) => numberNo));
}

function groupOf(teller: Teller, held: Held): Group {
  const { companyNo, numberNo, epoch, companyId, numberId, phone } = held;
  const source: InboundSource = {
    fence: { companyNo, numberNo, epoch },
    companyId,
    numberId,
    provider: "meta",
    phone,
    ...teller,
  };
  return { source, items: [], statuses: [], same: [], notices: [], companyNotices: [] };
}

function addTo(group: Group, { input }: MetaItem, isNumber: boolean): void {
  switch (input.kind) {
    case "message": {
      const { media, ...message } = input;
      const source = media ? { ...media, source: Buffer.from(media.source) } : null;
      group.items.push({ ...message, media: source });
      break;
    }
    case "edit":
    case "delete":
    case "reaction":
      group.items.push(input);
      break;
    case "status":
      group.statuses.push(input);
      break;
    case "same_person":
      group.same.push(input);
      break;
    case "notice":
      if (!isNumber) group.companyNotices.push(input);
      else {
        group.notices.push(input);
        if (input.person) group.items.push({ kind: "person", person: input.person });
      }
      break;
  }
}
