/** What an attempt's runner is given by its number, and what waits for it. */
import type { OwnedNumber } from "@manyline/db";
import type { WorkerContext } from "./context.ts";
import type { NumberJournal } from "./journal.ts";
import type { SerialQueue } from "./serial-queue.ts";
import type { Resting } from "./session-keeper.ts";

/** A command that waits for this attempt's code. */
export type Waiting = { commandId: string; deadlineAt: Date };

export type RunnerParts = {
  context: WorkerContext;
  number: OwnedNumber;
  journal: NumberJournal;
  queue: SerialQueue;
  signal: AbortSignal;
  /** What the number is when the attempt leads to nothing, if it has credentials. */
  resting(): Resting | undefined;
  /** The attempt is over. `linked`: credentials are stored, log in when the connection closes. */
  onEnded(linked: boolean): void;
  /** After `onEnded(true)`: WhatsApp closed the connection of the attempt. */
  onLinkClosed(): void;
};
