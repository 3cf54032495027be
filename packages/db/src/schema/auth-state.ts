import type { Generated } from "kysely";

/**
 * The credentials of a linked number, sealed. The row is there exactly while the number is linked.
 *
 * Writer: the owner, only through `write_auth`, which checks the fence.
 * Retention: until a real logout, or until a person unlinks or deletes; never because of time.
 */
export type AuthCredsTable = {
  companyNo: number;
  numberNo: number;
  value: Buffer;
  updatedAt: Generated<Date>;
};

/**
 * Signal keys and other state of a linked number, sealed one by one.
 *
 * Writer: the owner, only through `write_auth`, which checks the fence.
 * Retention: with the credentials; single keys go only when the protocol deletes them, never because of time.
 */
export type AuthKeysTable = {
  companyNo: number;
  numberNo: number;
  kind: string;
  key: string;
  value: Buffer;
  updatedAt: Generated<Date>;
};

/**
 * Many keys of one upload (pre-keys) in one sealed row. `gone`: those that were used, deleted or replaced.
 *
 * Writer: the owner, only through `write_auth`, which checks the fence.
 * Retention: with the credentials; the row goes when all its keys are gone.
 */
export type AuthKeyPacksTable = {
  companyNo: number;
  numberNo: number;
  kind: string;
  packId: string;
  keys: string[];
  gone: Generated<string[]>;
  value: Buffer;
  createdAt: Generated<Date>;
};
