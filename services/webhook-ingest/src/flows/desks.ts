/** What is known of companies' flows. */
import type { KeyObject } from "node:crypto";
import { flowPrivateKey } from "@manyline/contracts/flows";
import { type Database, type FlowDesk, type Keyring, readFlowDesk } from "@manyline/db";
import type { Clock } from "@manyline/runtime";
import { Kept } from "../kept.ts";

export type Desk = Omit<FlowDesk, "keys"> & { keys: DeskKey[] };
type DeskKey = { flowKeyId: string; key: KeyObject; retiresAt: Date | null };

/** `find` and `reload` as of what is kept, without the keys whose time is over. */
export type FlowDesks = Pick<Kept<Desk>, "find" | "reload">;

export function flowDesks(parts: { db: Database; keyring: Keyring; clock: Clock }): FlowDesks {
  const { db, keyring, clock } = parts;
  const kept = new Kept<Desk>({
    clock,
    // A key that was ended early answers no longer than that.
    freshMs: 10_000,
    // What does not open may be for a new key.
    reloadMs: 1_000,
    read: async (companyId) => {
      const found = await readFlowDesk(db, keyring, companyId);
      if (!found) return undefined;
      const keys = found.keys.map(({ flowKeyId, privateKey, retiresAt }) => ({
        flowKeyId,
        retiresAt,
        key: flowPrivateKey(privateKey),
      }));
      return { ...found, keys };
    },
  });
  const living = (desk: Desk | undefined): Desk | undefined => {
    const now = clock.now();
    const keys = desk?.keys.filter(({ retiresAt }) => retiresAt === null || retiresAt > now);
    return desk && keys && { ...desk, keys };
  };
  return {
    find: async (companyId) => living(await kept.find(companyId)),
    reload: async (companyId) => living(await kept.reload(companyId)),
  };
}
