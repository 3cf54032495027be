/** Whose signature counts: the app of all, or a company's own. */
import { readMetaApp } from "@manyline/db";
import type { Database, Keyring } from "@manyline/db";
import type { Clock } from "@manyline/runtime";
import { Kept } from "./kept.ts";

export type App = {
  secrets: readonly string[];
  verifyToken: string | undefined;
  /** Undefined: the app that serves all. */
  company: { companyNo: number; companyId: string } | undefined;
};

export type CompanyApps = Kept<App>;

/** Companies' own apps. `reload`: for a signature that did not fit; it may be of a new secret. */
export function companyApps(parts: { db: Database; keyring: Keyring; clock: Clock }): CompanyApps {
  const { db, keyring, clock } = parts;
  return new Kept<App>({
    clock,
    freshMs: 30_000,
    reloadMs: 2_000,
    read: async (asked) => {
      const app = await readMetaApp(db, keyring, asked);
      if (!app) return undefined;
      const { companyNo, companyId, secrets, verifyToken } = app;
      return { secrets, verifyToken, company: { companyNo, companyId } };
    },
  });
}
