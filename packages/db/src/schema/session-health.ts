import type { Generated } from "kysely";

/**
 * How a number's connection fares; one row per number, written on change only (`last_seen` alone at most
 * once a minute). `last_reconnect_ms`: how long the number was away before it was last connected again.
 *
 * Writer: the owner, fenced.
 * Retention: as long as the number.
 */
export type WhatsappSessionHealthTable = {
  companyNo: number;
  numberNo: number;
  status: string;
  disconnectReason: string | null;
  reconnectAttempts: Generated<number>;
  lastSeen: Date | null;
  details: Generated<Record<string, unknown>>;
  createdAt: Generated<Date>;
  updatedAt: Generated<Date>;
  lastReconnectMs: number | null;
  lastReconnectAt: Date | null;
};
