/** All tables by name. Each type says what the table holds, who writes it and how long rows stay. */
import type { ApiTokensTable, AuditLogTable, HousekeepingTable } from "./access.ts";
import type { AuthCredsTable, AuthKeyPacksTable, AuthKeysTable } from "./auth-state.ts";
import type { CommandsTable } from "./commands.ts";
import type { CompaniesTable, CompanyCounterTable } from "./companies.ts";
import type { DataKeysTable } from "./data-keys.ts";
import type { EventPublicationsTable, WhatsappEventsTable } from "./events.ts";
import type {
  FlowHandlersTable,
  FlowKeysTable,
  SharedFlowsTable,
  TenantFlowsTable,
} from "./flows.ts";
import type { JobItemsTable, JobsTable } from "./jobs.ts";
import type {
  ChatsTable,
  ContactAliasesTable,
  ContactsTable,
  IdempotencyTable,
  InboundJournalTable,
  MediaTable,
  MessagesTable,
  DroppedFilesTable,
  RemovedNumbersTable,
  SeenTable,
  UnknownSendsTable,
} from "./messages.ts";
import type {
  MetaAppsTable,
  NumberUsageTable,
  PortfolioPeopleTable,
  PricedMessagesTable,
  UnroutableTable,
  WebhookHandshakesTable,
} from "./meta.ts";
import type { NumberFenceTable, NumbersTable } from "./numbers.ts";
import type {
  PairingAttemptsTable,
  PairingPhoneLimitsTable,
  PairingWatchTable,
  WhatsappRateLimitsTable,
} from "./pairing.ts";
import type { NotificationsTable, NumberLossesTable } from "./notifications.ts";
import type { DeliveriesTable, WebhookIntakeTable, WebhookSubscriptionsTable } from "./webhooks.ts";
import type { WhatsappSessionHealthTable } from "./session-health.ts";
import type { ShardLeasesTable, ShardMovesTable, ShardsTable, WorkersTable } from "./shards.ts";

export type Schema = {
  apiTokens: ApiTokensTable;
  auditLog: AuditLogTable;
  authCreds: AuthCredsTable;
  authKeyPacks: AuthKeyPacksTable;
  authKeys: AuthKeysTable;
  chats: ChatsTable;
  commands: CommandsTable;
  companies: CompaniesTable;
  companyCounter: CompanyCounterTable;
  contactAliases: ContactAliasesTable;
  contacts: ContactsTable;
  dataKeys: DataKeysTable;
  deliveries: DeliveriesTable;
  flowHandlers: FlowHandlersTable;
  flowKeys: FlowKeysTable;
  housekeeping: HousekeepingTable;
  idempotency: IdempotencyTable;
  inboundJournal: InboundJournalTable;
  jobItems: JobItemsTable;
  jobs: JobsTable;
  media: MediaTable;
  messages: MessagesTable;
  metaApps: MetaAppsTable;
  notifications: NotificationsTable;
  numberFence: NumberFenceTable;
  numberLosses: NumberLossesTable;
  numberUsage: NumberUsageTable;
  numbers: NumbersTable;
  pairingAttempts: PairingAttemptsTable;
  pairingPhoneLimits: PairingPhoneLimitsTable;
  pairingWatch: PairingWatchTable;
  portfolioPeople: PortfolioPeopleTable;
  pricedMessages: PricedMessagesTable;
  removedNumbers: RemovedNumbersTable;
  droppedFiles: DroppedFilesTable;
  seen: SeenTable;
  shardLeases: ShardLeasesTable;
  shardMoves: ShardMovesTable;
  shards: ShardsTable;
  sharedFlows: SharedFlowsTable;
  tenantFlows: TenantFlowsTable;
  unknownSends: UnknownSendsTable;
  unroutable: UnroutableTable;
  webhookHandshakes: WebhookHandshakesTable;
  webhookIntake: WebhookIntakeTable;
  webhookSubscriptions: WebhookSubscriptionsTable;
  whatsappEvents: WhatsappEventsTable;
  eventPublications: EventPublicationsTable;
  whatsappRateLimits: WhatsappRateLimitsTable;
  whatsappSessionHealth: WhatsappSessionHealthTable;
  workers: WorkersTable;
};
