/** Where a number stands with Meta and what it sends with, from the database. */
import {
  type Database,
  type Fence,
  fencedTransaction,
  findFlow,
  type FlowKeyRow,
  type FlowRow,
  type FlowTokenFacts,
  type Keyring,
  listFlowKeys,
  listNumbers,
  readAccessToken,
  readMetaNumber,
  sealFlowToken,
  setMetaActive,
} from "@manyline/db";

export type MetaPlace = {
  wabaId: string;
  phoneNumberId: string;
  token: string;
  isActive: boolean;
};

export type MetaStore = {
  /** Undefined: something of it is missing. */
  load(fence: Pick<Fence, "companyNo" | "numberNo">): Promise<MetaPlace | undefined>;
  /** How many other numbers of the company have the same token. */
  sharers(fence: Pick<Fence, "companyNo" | "numberNo">, token: string): Promise<number>;
  /** The company's keys for flows that answer, without their private parts. */
  flowKeys(fence: Pick<Fence, "companyNo">): Promise<FlowKeyRow[]>;
  /** The company's own flow of this name, else the one of all. */
  findFlow(fence: Pick<Fence, "companyNo">, name: string): Promise<FlowRow | undefined>;
  flowToken(fence: Pick<Fence, "companyNo">, facts: FlowTokenFacts): Promise<string>;
  /** False: another number is active there. Throws FencedError. */
  activate(fence: Fence, phone: string | null): Promise<boolean>;
};

export function createMetaStore(db: Database, keyring: Keyring): MetaStore {
  return {
    load: async ({ companyNo, numberNo }) => {
      const place = await readMetaNumber(db, companyNo, numberNo);
      const token = place && (await readAccessToken(db, keyring, companyNo, numberNo));
      return place && token !== undefined ? { ...place, token } : undefined;
    },
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
