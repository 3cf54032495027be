/** Errors of this room, and what they mean for the caller. */

/** The epoch of a fence is no longer the number's: another worker owns it. Drop the number, write nothing. */
export class FencedError extends Error {
  override readonly name = "FencedError";
  readonly companyNo: number;
  readonly numberNo: number;
  readonly epoch: number;

  constructor(fence: { companyNo: number; numberNo: number; epoch: number }) {
    super(`number ${fence.numberNo} is no longer owned with epoch ${fence.epoch}`);
    this.companyNo = fence.companyNo;
    this.numberNo = fence.numberNo;
    this.epoch = fence.epoch;
  }
}

/** The database has not the schema of this build: wait for the migration, or roll back the build. */
export class SchemaVersionError extends Error {
  override readonly name = "SchemaVersionError";
  readonly found: string | undefined;
  readonly wanted: string;

  constructor(found: string | undefined, wanted: string) {
    super(`the database has schema ${found ?? "(none)"}, this build needs ${wanted}`);
    this.found = found;
    this.wanted = wanted;
  }
}

/** A key could not be read, or a stored value was not written for this company, number and kind. */
export class CryptoError extends Error {
  override readonly name = "CryptoError";
}

/** SQLSTATE of a Postgres error, `ECONNREFUSED` and the like of a socket error, else undefined. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

const SOCKET_CODES = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
]);
/** Messages of the pg client that carry no code. */
const CLIENT_MESSAGES =
  /connection terminated|timeout exceeded when trying to connect|connection timeout|query read timeout|client was closed|cannot use a pool after|client has encountered a connection error/i;

/**
 * Whether the database could not be asked, as against: it was asked and refused. The gateway answers 503.
 * Covers refused and broken connections, shutdown and start-up of Postgres (57P0x), too many connections
 * (53300), a full disk, and time-outs (57014, 25P03).
 */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isUnavailable);
  const code = errorCode(error);
  if (code !== undefined) {
    if (SOCKET_CODES.has(code) || code.startsWith("08") || code.startsWith("53")) return true;
    if (["57P01", "57P02", "57P03", "57014", "25P03"].includes(code)) return true;
  }
  return error instanceof Error && CLIENT_MESSAGES.test(error.message);
}

/** Deadlock and serialization failure: the same transaction can succeed when it is run again. */
export function isRetriable(error: unknown): boolean {
  const code = errorCode(error);
  return code === "40P01" || code === "40001";
}
