/** What a number's owner needs from its worker. */
import type { Database, EventRelay, Keyring } from "@manyline/db";
import type { MediaStore } from "@manyline/media";
import type { Bus, Clock, Logger } from "@manyline/runtime";
import type { BackoffFigures } from "../domain/backoff.ts";
import type { RecycleFigures } from "../domain/line-watch.ts";
import type { PaceFigures } from "../domain/pace.ts";
import type { PairingFigures } from "../domain/pairing-machine.ts";
import type { Provider } from "../providers/provider.ts";
import type { Reports } from "../reports.ts";
import type { FleetGate } from "./fleet-gate.ts";
import type { InboundCommits } from "./inbound-commits.ts";
import type { Opener } from "./opener.ts";
import type { ResultCommits } from "./result-commits.ts";
import type { SeedCopies } from "./seed-copies.ts";
import type { StatusCommits } from "./status-commits.ts";

export type LimitFigures = { perHour: number; windowMs: number; cooldownMs: number };

export type WorkerContext = {
  /** The worker's present incarnation. */
  workerId(): string;
  readonly db: Database;
  readonly keyring: Keyring;
  readonly relay: EventRelay;
  readonly bus: Bus;
  readonly provider: Provider;
  /** Where files are. */
  readonly media: MediaStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly reports: Reports;
  readonly opener: Opener;
  readonly gate: FleetGate;
  readonly copies: SeedCopies;
  readonly statusCommits: StatusCommits;
  readonly inboundCommits: InboundCommits;
  readonly resultCommits: ResultCommits;
  readonly pairing: PairingFigures & { unwatchedMs: number };
  readonly limits: LimitFigures;
  readonly pace: PaceFigures;
  readonly backoff: BackoffFigures;
  readonly recycling: RecycleFigures;
  /** Key of the per-phone limit: a phone is stored there only as a keyed hash. */
  readonly phonePepper: Buffer;
  /** Past its lease's deadline a worker neither writes nor sends. */
  isQuiet(): boolean;
  /** This worker does not own the number any more, or can no longer be sure. */
  onFenced(numberNo: number): void;
  /** Looks at once whether the leases are still ours. */
  askLease(): void;
  /** The number may have something to send, and can. */
  askSends(numberNo: number): void;
  /** The company may not ask for codes until then: all its unlinked numbers say so. */
  onBlocked(companyNo: number, until: Date): void;
};
