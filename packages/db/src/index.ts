/** All SQL of the product: migrations, row types, repositories, encryption at rest, the event log and its relay. */
export {
  type Database,
  type Executor,
  inTransaction,
  openDatabase,
  type OpenOptions,
  type Tx,
  type Tx as Transaction,
  withCompany,
} from "./open.ts";
export {
  CryptoError,
  errorCode,
  FencedError,
  isRetriable,
  isUnavailable,
  SchemaVersionError,
} from "./errors.ts";
export { DB_ROLES, type DbRole, loginOf, roleUrl } from "./roles.ts";
export { assertSchema, migrate, type MigrateOptions, schemaVersion } from "./migrate.ts";
export { SCHEMA_VERSION } from "./migrations/index.ts";
export {
  createKeyring,
  hashPhone,
  type Kek,
  type Keyring,
  parseKeks,
  rotateKek,
  type SealContext,
  type Sealer,
} from "./crypto/keyring.ts";
export * from "./repositories/companies.ts";
export {
  createNumber,
  findLinkedPhone,
  getNumber,
  getNumberByNo,
  getPrimaryNumber,
  isPhoneLinkedElsewhere,
  listNumbers,
  lockPrimaryNumber,
  lockLinking,
  type NumberInput,
  type NumberPatch,
  type NumberRow,
  removeNumber,
  updateNumber,
} from "./repositories/numbers.ts";
export * from "./repositories/tokens.ts";
export * from "./repositories/audit.ts";
export * from "./repositories/commands.ts";
export * from "./repositories/command-operations.ts";
export * from "./repositories/jobs.ts";
export * from "./repositories/status.ts";
export {
  type AttemptInput,
  type AttemptPatch,
  type AttemptRow,
  type AttemptSecret,
  deleteOldAttempts,
  endOrphanAttempts,
  eraseExpiredSecrets,
  insertAttempt,
  isWatched,
  liveAttempt,
  readAttempt,
  readAttemptSecret,
  updateAttempt,
  watchedUntil,
  watchPairing,
} from "./repositories/pairing-attempts.ts";
export { type Fence, fencedBatch, fencedTransaction, touchSeen } from "./repositories/fence.ts";
export {
  appendEvents,
  dropOldPartitions,
  ensurePartitions,
  type EventInput,
  listEvents,
  type StoredEvent,
} from "./repositories/events.ts";
export * from "./repositories/event-feed.ts";
export * from "./repositories/workers.ts";
export * from "./repositories/leases.ts";
export * from "./repositories/shard-admin.ts";
export * from "./repositories/owned-numbers.ts";
export * from "./repositories/number-status.ts";
export * from "./repositories/operators.ts";
export * from "./repositories/operator-lists.ts";
export * from "./repositories/limits.ts";
export * from "./repositories/auth-state.ts";
export * from "./repositories/auth-preload.ts";
export {
  findJournal,
  type JournalEntry,
  type KnownEntry,
  type OpenEntry,
  openJournal,
} from "./repositories/journal.ts";
export {
  commitInbound,
  commitInbounds,
  type InboundCommit,
  type InboundResult,
} from "./repositories/inbound.ts";
export type * from "./repositories/inbound-items.ts";
export * from "./repositories/polls.ts";
export * from "./repositories/message-reads.ts";
export * from "./repositories/message-requests.ts";
export * from "./repositories/media.ts";
export { forgetDroppedFiles, listDroppedFiles } from "./repositories/message-retention.ts";
export * from "./repositories/sends.ts";
export {
  claimSends,
  type ReadyNumber,
  releaseSends,
  type Send,
} from "./repositories/send-queue.ts";
export {
  lostSends,
  noteAllStatuses,
  noteStatuses,
  overdueSends,
  type OverdueSend,
  type Status,
  type StatusBatch,
} from "./repositories/statuses.ts";
export * from "./repositories/ingest.ts";
export * from "./repositories/unroutable.ts";
export { journalWebhooks, oldEntries, type WebhookEntry } from "./repositories/webhook-journal.ts";
export {
  commitWpp,
  findWppHook,
  type WppHook,
  type WppResult,
  type WppWebhook,
} from "./repositories/wpp-ingest.ts";
export { type StoredFile, type StoredFiles, wppInboundItems } from "./repositories/wpp-inbound.ts";
export { noteWppSession } from "./repositories/wpp-sessions.ts";
export {
  noteHandshake,
  type Portfolio,
  readPortfolio,
  readUsage,
  type UsageRow,
} from "./repositories/usage.ts";
export * from "./repositories/meta-apps.ts";
export * from "./repositories/meta-numbers.ts";
export * from "./repositories/wpp-numbers.ts";
export * from "./repositories/file-links.ts";
export * from "./repositories/flow-keys.ts";
export * from "./repositories/flow-desk.ts";
export * from "./repositories/tenant-flows.ts";
export * from "./repositories/webhook-subscriptions.ts";
export * from "./repositories/deliveries.ts";
export * from "./repositories/notifications.ts";
export * from "./repositories/notice-facts.ts";
export * from "./repositories/losses.ts";
export * from "./repositories/delivery-log.ts";
export * from "./repositories/webhook-intake.ts";
export * from "./crypto/flow-token.ts";
export * from "./repositories/pace.ts";
export * from "./repositories/housekeeping.ts";
export { EventRelay, type EventRelayOptions, type Publisher } from "./relay/event-relay.ts";
