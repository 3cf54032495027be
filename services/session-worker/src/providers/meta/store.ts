/** Where a number stands with Meta and what it sends with, from the database. */
import {
  type CompanyId,
  type EventData,
  makeEvent,
  type NumberId,
  numberTokenExpiring,
} from "@manyline/contracts";
import {
  appendEvents,
  type Database,
  type EventRelay,
  type Fence,
  fencedTransaction,
  findFlow,
  type FlowKeyRow,
  type FlowRow,
  type FlowTokenFacts,
  isTokenElsewhere,
  type Keyring,
  listFlowKeys,
  listNumbers,
  type MetaFacts,
  type MetaTraffic,
  noteToken,
  noteTokenEnd,
  readAccessToken,
  readMetaApp,
  readMetaNumber,
  readMetaTraffic,
  sealFlowToken,
  setMetaActive,
  setMetaFacts,
} from "@manyline/db";
import type { NumberRef } from "../provider.ts";

export type MetaPlace = {
  wabaId: string;
  phoneNumberId: string;
  token: string;
  /** Of the app the token belongs to, where calls are to prove that they know it. */
  appSecret?: string | undefined;
  isActive: boolean;
  /** What Meta told when it was asked last. */
  facts?: MetaFacts;
  /** The token is the one of the gateway's environment. */
  hasCommonToken?: boolean;
};

export type MetaStoreOptions = {
  relay?: Pick<EventRelay, "publish">;
  /** Calls prove that they know the secret of the app: the company's own, or this one. */
  proof?: { sharedSecret: string | undefined };
};

export type MetaStore = {
  /** Undefined: something of it is missing. */
  load(number: Pick<NumberRef, "fence" | "companyId">): Promise<MetaPlace | undefined>;
  /** How many other numbers of the company have the same token. */
  sharers(fence: Pick<Fence, "companyNo" | "numberNo">, token: string): Promise<number>;
  /** Whether a number of another company has it, too. */
  isElsewhere(fence: Pick<Fence, "companyNo">, token: string): Promise<boolean>;
  /** The company's keys for flows that answer, without their private parts. */
  flowKeys(fence: Pick<Fence, "companyNo">): Promise<FlowKeyRow[]>;
  /** The company's own flow of this name, else the one of all. */
  findFlow(fence: Pick<Fence, "companyNo">, name: string): Promise<FlowRow | undefined>;
  flowToken(fence: Pick<Fence, "companyNo">, facts: FlowTokenFacts): Promise<string>;
  /** False: another number is active there. Throws FencedError. */
  activate(fence: Fence, phone: string | null): Promise<boolean>;
  /** Keeps what Meta told of the number, and which token it told it to. Throws FencedError. */
  keepFacts(fence: Fence, facts: MetaFacts, token: string): Promise<void>;
  /** Tells that the token ends within so many days. False: it was told before. Throws FencedError. */
  tellTokenEnd(number: NumberRef, end: Date, days: number): Promise<boolean>;
  traffic(fence: Pick<Fence, "companyNo" | "numberNo">): Promise<MetaTraffic>;
};

export function createMetaStore(
  db: Database,
  keyring: Keyring,
  { relay, proof }: MetaStoreOptions = {},
): MetaStore {
  const secretOf = async (companyId: string): Promise<string | undefined> => {
    if (!proof) return undefined;
    const own = await readMetaApp(db, keyring, companyId);
    return own?.secrets[0] ?? proof.sharedSecret;
  };
  return {
    load: async ({ fence: { companyNo, numberNo }, companyId }) => {
      const place = await readMetaNumber(db, companyNo, numberNo);
      const token = place && (await readAccessToken(db, keyring, companyNo, numberNo));
      if (!place || token === undefined) return undefined;
      return { ...place, token, appSecret: await secretOf(companyId) };
    },
    keepFacts: (fence, facts, token) =>
      fencedTransaction(db, fence, async (tx) => {
        await setMetaFacts(tx, fence, facts);
        await noteToken(tx, fence, token);
      }),
    tellTokenEnd: async (number, end, days) => {
      const { fence } = number;
      const events = await fencedTransaction(db, fence, async (tx) => {
        if (!(await noteTokenEnd(tx, fence, { at: end, days }))) return [];
        const { companyNo, numberNo } = fence;
        return appendEvents(tx, [{ companyNo, numberNo, event: tokenEvent(number, end, days) }]);
      });
      relay?.publish(events);
      return events.length > 0;
    },
    traffic: ({ companyNo, numberNo }) => readMetaTraffic(db, companyNo, numberNo),
    sharers: async ({ companyNo, numberNo }, token) => {
      const others = (await listNumbers(db, companyNo)).filter(
        (other) => other.provider === "meta" && other.numberNo !== numberNo,
      );
      let count = 0;
      for (const other of others) {
        const theirs = await readAccessToken(db, keyring, companyNo, other.numberNo);
        if (theirs === token) count += 1;
      }
      return count;
    },
    isElsewhere: ({ companyNo }, token) => isTokenElsewhere(db, companyNo, token),
    flowKeys: ({ companyNo }) => listFlowKeys(db, companyNo),
    findFlow: ({ companyNo }, name) => findFlow(db, companyNo, name),
    flowToken: async ({ companyNo }, facts) =>
      sealFlowToken(await keyring.sealer(db, companyNo), facts),
    activate: async (fence, phone) => {
      try {
        await fencedTransaction(db, fence, (tx) => setMetaActive(tx, fence, true, phone));
        return true;
      } catch (error) {
        if (error instanceof Error && "code" in error && error.code === "23505") return false;
        throw error;
      }
    },
  };
}

function tokenEvent({ companyId, numberId }: NumberRef, end: Date, days: number) {
  const key = { companyId: companyId as CompanyId, numberId: numberId as NumberId };
  const data: EventData<typeof numberTokenExpiring> = {
    provider: "meta",
    expiresAt: end.toISOString(),
    days,
  };
  return makeEvent(numberTokenExpiring, key, data, { service: "session-worker", at: new Date() });
}
