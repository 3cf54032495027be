/** The clients of WPP numbers, from the database. */
import {
  type Database,
  type Fence,
  fencedTransaction,
  isWppClientTaken,
  type Keyring,
  noteWppOrganisation,
  readWppTask,
  replaceWppTask,
  readWppNumber,
  type Send,
  setWppClient,
  type WppNumber,
  type WppTask,
} from "@manyline/db";
import type { WppClientKey } from "./platform.ts";

export type WppStore = {
  /** Undefined: there is no such WPP number any more. */
  load(fence: Fence): Promise<WppNumber | undefined>;
  /** Null: the one that was noted is not to be used. Throws FencedError. */
  noteOrganisation(fence: Fence, subOrgId: string | null): Promise<void>;
  isTaken(fence: Fence, client: WppClientKey): Promise<boolean>;
  /** The message that this one changes, as the platform knows it; undefined: it is not known. */
  taskOf(fence: Fence, send: Send): Promise<WppTask | undefined>;
  /** That message is another task now. Throws FencedError. */
  replaceTask(fence: Fence, send: Send, taskId: string): Promise<void>;
  /** False: another number has this key or session. Throws FencedError. */
  save(fence: Fence, client: WppClientKey): Promise<boolean>;
};

const UNIQUE_VIOLATION = "23505";

export function createWppStore(db: Database, keyring: Keyring): WppStore {
  return {
    load: ({ companyNo, numberNo }) => readWppNumber(db, keyring, companyNo, numberNo),
    noteOrganisation: (fence, subOrgId) =>
      fencedTransaction(db, fence, (tx) => noteWppOrganisation(tx, fence, subOrgId)),
    isTaken: ({ numberNo }, client) => isWppClientTaken(db, numberNo, client),
    taskOf: ({ companyNo, numberNo }, { content }) => {
      const id = content?.context?.providerMessageId;
      return id === undefined
        ? Promise.resolve(undefined)
        : readWppTask(db, companyNo, numberNo, id);
    },
    replaceTask: async (fence, { content }, taskId) => {
      const id = content?.context?.providerMessageId;
      if (id === undefined) return;
      await fencedTransaction(db, fence, (tx) => replaceWppTask(tx, fence, id, taskId));
    },
    save: async (fence, client) => {
      try {
        await fencedTransaction(db, fence, (tx) => setWppClient(tx, keyring, fence, client));
        return true;
      } catch (error) {
        const isTaken =
          error instanceof Error && "code" in error && error.code === UNIQUE_VIOLATION;
        if (isTaken) return false;
        throw error;
      }
    },
  };
}
