/** The migrations in order, listed by hand: what is not here does not run. */
import type { Migration } from "kysely/migration";
import * as tenants from "./20261121-0100-tenants.ts";
import * as authState from "./20261121-0200-auth-state.ts";
import * as pairing from "./20261121-0300-pairing.ts";
import * as operations from "./20261121-0400-operations.ts";
import * as events from "./20261121-0500-events.ts";
import * as views from "./20261121-0600-views.ts";
import * as ownership from "./20261121-0700-ownership.ts";
import * as commandQueues from "./20261121-0710-command-queues.ts";
import * as jobs from "./20261121-0720-jobs.ts";
import * as logins from "./20261121-0730-logins.ts";
import * as leaseFacts from "./20261121-0740-lease-facts.ts";
import * as statusEpoch from "./20261121-0750-status-epoch.ts";
import * as messages from "./20261121-0800-messages.ts";
import * as messageRights from "./20261121-0801-message-rights.ts";
import * as people from "./20261121-0805-people.ts";
import * as inbound from "./20261121-0810-inbound.ts";
import * as sends from "./20261121-0820-sends.ts";
import * as pace from "./20261121-0830-pace.ts";
import * as lostCommands from "./20261121-0840-lost-commands.ts";
import * as droppedFiles from "./20261121-0850-dropped-files.ts";
import * as walls from "./20261121-0860-walls.ts";
import * as fewerPlans from "./20261121-0870-fewer-plans.ts";
import * as meta from "./20261121-0900-meta.ts";
import * as ingestRights from "./20261121-0910-ingest-rights.ts";
import * as unknownSends from "./20261121-0920-unknown-sends.ts";
import * as flows from "./20261121-0930-flows.ts";
import * as usage from "./20261121-0950-usage.ts";
import * as manyNumbers from "./20261121-0960-many-numbers.ts";
import * as manyStatuses from "./20261121-0970-many-statuses.ts";
import * as tokenHashes from "./20261121-0980-token-hashes.ts";
import * as wpp from "./20261121-0980-wpp.ts";
import * as wppIngest from "./20261121-0990-wpp-ingest.ts";
import * as webhooks from "./20261121-1000-webhooks.ts";
import * as notifications from "./20261121-1020-notifications.ts";
import * as linkUses from "./20261121-1100-link-uses.ts";
import * as queueDeliveries from "./20261121-1110-queue-deliveries.ts";
import * as oneRowEach from "./20261121-1300-one-row-each.ts";
import * as commonToken from "./20261121-1310-common-token.ts";
import * as oneMessageEach from "./20261121-1320-one-message-each.ts";
import * as oneChatEach from "./20261121-1330-one-chat-each.ts";
import * as publications from "./20261121-1400-publications.ts";
import * as fewerJoins from "./20261121-1410-fewer-joins.ts";
import * as webhookJournal from "./20261121-1420-webhook-journal.ts";
import * as peopleWithoutPhone from "./20261121-1430-people-without-phone.ts";
import * as observed from "./20261121-1440-observed.ts";
import * as twoPhones from "./20261121-1450-two-phones.ts";

export const migrations: Record<string, Migration> = {
  "20261121-0100-tenants": tenants,
  "20261121-0200-auth-state": authState,
  "20261121-0300-pairing": pairing,
  "20261121-0400-operations": operations,
  "20261121-0500-events": events,
  "20261121-0600-views": views,
  "20261121-0700-ownership": ownership,
  "20261121-0710-command-queues": commandQueues,
  "20261121-0720-jobs": jobs,
  "20261121-0730-logins": logins,
  "20261121-0740-lease-facts": leaseFacts,
  "20261121-0750-status-epoch": statusEpoch,
  "20261121-0800-messages": messages,
  "20261121-0801-message-rights": messageRights,
  "20261121-0805-people": people,
  "20261121-0810-inbound": inbound,
  "20261121-0820-sends": sends,
  "20261121-0830-pace": pace,
  "20261121-0840-lost-commands": lostCommands,
  "20261121-0850-dropped-files": droppedFiles,
  "20261121-0860-walls": walls,
  "20261121-0870-fewer-plans": fewerPlans,
  "20261121-0900-meta": meta,
  "20261121-0910-ingest-rights": ingestRights,
  "20261121-0920-unknown-sends": unknownSends,
  "20261121-0930-flows": flows,
  "20261121-0950-usage": usage,
  "20261121-0960-many-numbers": manyNumbers,
  "20261121-0970-many-statuses": manyStatuses,
  "20261121-0980-token-hashes": tokenHashes,
  "20261121-0980-wpp": wpp,
  "20261121-0990-wpp-ingest": wppIngest,
  "20261121-1000-webhooks": webhooks,
  "20261121-1020-notifications": notifications,
  "20261121-1100-link-uses": linkUses,
  "20261121-1110-queue-deliveries": queueDeliveries,
  "20261121-1300-one-row-each": oneRowEach,
  "20261121-1310-common-token": commonToken,
  "20261121-1320-one-message-each": oneMessageEach,
  "20261121-1330-one-chat-each": oneChatEach,
  "20261121-1400-publications": publications,
  "20261121-1410-fewer-joins": fewerJoins,
  "20261121-1420-webhook-journal": webhookJournal,
  "20261121-1430-people-without-phone": peopleWithoutPhone,
  "20261121-1440-observed": observed,
  "20261121-1450-two-phones": twoPhones,
};

/** The name of the newest migration: the schema version this build needs. */
export const SCHEMA_VERSION = Object.keys(migrations).toSorted().at(-1) ?? "";
