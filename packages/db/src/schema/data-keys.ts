import type { Generated } from "kysely";

/**
 * One data key per company, wrapped by the key-encryption key `kek_id`. Deleting it shreds every secret.
 *
 * Writer: gateway (platform), creating a company and rotating the key-encryption key.
 * Retention: as long as the company.
 */
export type DataKeysTable = {
  companyNo: number;
  kekId: string;
  wrapped: Buffer;
  createdAt: Generated<Date>;
  wrappedAt: Generated<Date>;
};
