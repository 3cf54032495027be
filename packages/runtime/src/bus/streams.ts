import type { Logger } from "../logger.ts";
import { BusRefused, StreamMismatch, StreamMissing } from "./errors.ts";
import {
  createStream,
  nanoseconds,
  STREAM_NAME_IN_USE,
  streamInfo,
  updateStream,
} from "./jetstream.ts";
import type { StreamConfig, StreamInfo } from "./jetstream.ts";
import type { StreamDefinition, StreamFound, StreamState } from "./types.ts";
import type { Wire } from "./wire.ts";

const DEFAULT_DUPLICATE_WINDOW_MS = 120_000;

/** Knows which streams must exist, makes them so, and remembers which incarnations it has met. */
export class StreamKeeper {
  readonly #logger: Logger;
  readonly #declared = new Map<string, StreamDefinition>();
  readonly #met = new Map<string, string>();
  readonly #running = new Map<string, Promise<StreamState>>();
  readonly #reportedAt = new Map<string, number>();
  readonly #listeners = new Set<(found: StreamFound) => void>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  declare(definition: StreamDefinition): void {
    this.#declared.set(definition.name, definition);
  }

  onStream(listener: (found: StreamFound) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** All declared streams; what fails is logged, since one bad stream must not stop the others. */
  async ensureAll(wire: Wire): Promise<void> {
    await Promise.all(
      [...this.#declared.values()].map(async (definition) => {
        try {
          await this.ensure(wire, definition);
        } catch (error) {
          this.#report(definition.name, error);
        }
      }),
    );
  }

  /** Callers at the same moment share one run. */
  ensure(wire: Wire, definition: StreamDefinition): Promise<StreamState> {
    const { name } = definition;
    const running = this.#running.get(name);
    if (running !== undefined) return running;
    const run = this.#ensure(wire, definition).finally(() => {
      this.#running.delete(name);
    });
    this.#running.set(name, run);
    return run;
  }

  async state(wire: Wire, name: string): Promise<StreamState> {
    const info = await streamInfo(wire, name);
    if (info === undefined) throw new StreamMissing(name);
    return stateOf(info);
  }

  async #ensure(wire: Wire, definition: StreamDefinition): Promise<StreamState> {
    const existing = await streamInfo(wire, definition.name);
    let info = existing;
    if (info === undefined) {
      try {
        info = await createStream(wire, configOf(definition));
      } catch (error) {
        // Another process was faster, and with another configuration: say which differences.
        if (!(error instanceof BusRefused) || error.apiCode !== STREAM_NAME_IN_USE) throw error;
        info = await streamInfo(wire, definition.name);
        if (info === undefined) throw error;
      }
    }
    info = await this.#widened(wire, definition, info);
    // Compared after creating as well: servers drop fields they do not know without a word.
    const differences = compareStream(definition, info.config);
    if (differences.length > 0) throw new StreamMismatch(definition.name, differences);
    this.#meet(definition.name, stateOf(info), existing === undefined);
    return stateOf(info);
  }

  /**
   * The stream with the subjects that a newer version has more: nothing in it is touched. One that has more than
   * we know was made by a newer version, whose processes run beside ours during a rollout.
   */
  async #widened(
    wire: Wire,
    { name, subjects }: StreamDefinition,
    info: StreamInfo,
  ): Promise<StreamInfo> {
    const wanted = new Set(subjects);
    const missing = subjects.filter((subject) => !info.config.subjects.includes(subject));
    const isOlder = info.config.subjects.every((subject) => wanted.has(subject));
    if (missing.length === 0 || !isOlder) return info;
    this.#logger.info(
      { event: "bus.stream_widened", stream: name, subjects: missing },
      "stream widened",
    );
    return updateStream(wire, { ...info.config, subjects: [...subjects] });
  }

  /** At most one line in ten seconds for each stream: every publish may come past here. */
  #report(name: string, error: unknown): void {
    const now = performance.now();
    if (now - (this.#reportedAt.get(name) ?? -Infinity) < 10_000) return;
    this.#reportedAt.set(name, now);
    this.#logger.error({ err: error, stream: name }, "stream not ensured");
  }

  #meet(name: string, state: StreamState, isCreated: boolean): void {
    const previous = this.#met.get(name);
    if (previous === state.incarnation) return;
    this.#met.set(name, state.incarnation);
    const found: StreamFound = { ...state, name, isCreated, previous };
    this.#logger.info({ event: "bus.stream", ...found }, "stream found in a new incarnation");
    for (const listener of this.#listeners) {
      try {
        listener(found);
      } catch (error) {
        this.#logger.error({ err: error, stream: name }, "a stream listener failed");
      }
    }
  }
}

export function configOf(definition: StreamDefinition): StreamConfig {
  const windowMs = definition.duplicateWindowMs ?? DEFAULT_DUPLICATE_WINDOW_MS;
  return {
    name: definition.name,
    subjects: [...definition.subjects],
    retention: definition.retention ?? "limits",
    storage: definition.storage ?? "file",
    discard: "old",
    max_age: nanoseconds(definition.maxAgeMs),
    max_bytes: definition.maxBytes,
    max_msgs: -1,
    max_msg_size: definition.maxMessageBytes ?? -1,
    max_consumers: -1,
    num_replicas: definition.replicas,
    // The server refuses a window longer than the messages live.
    duplicate_window: nanoseconds(
      definition.maxAgeMs > 0 ? Math.min(windowMs, definition.maxAgeMs) : windowMs,
    ),
    ...(definition.description === undefined ? {} : { description: definition.description }),
  };
}

/** The differences that matter, each as `field is X, wanted Y`; times in ms. */
export function compareStream(definition: StreamDefinition, actual: StreamConfig): string[] {
  const wanted = configOf(definition);
  const pairs: [field: string, is: unknown, want: unknown][] = [
    ["subjects", sorted(knownOf(wanted, actual)), sorted(wanted.subjects)],
    ["retention", actual.retention, wanted.retention],
    ["storage", actual.storage, wanted.storage],
    ["discard", actual.discard, wanted.discard],
    ["maxAgeMs", actual.max_age / 1e6, wanted.max_age / 1e6],
    ["maxBytes", unlimited(actual.max_bytes), unlimited(wanted.max_bytes)],
    ["replicas", actual.num_replicas, wanted.num_replicas],
    ["duplicateWindowMs", actual.duplicate_window / 1e6, wanted.duplicate_window / 1e6],
    ["maxMessageBytes", unlimited(actual.max_msg_size), unlimited(wanted.max_msg_size)],
  ];
  return pairs
    .filter(([, is, want]) => is !== want)
    .map(([field, is, want]) => `${field} is ${String(is)}, wanted ${String(want)}`);
}

/** The subjects of a stream, but for those that a newer version has added to all that we want. */
function knownOf(wanted: StreamConfig, actual: StreamConfig): readonly string[] {
  const has = new Set(actual.subjects);
  const isWider = wanted.subjects.every((subject) => has.has(subject));
  return isWider ? wanted.subjects : actual.subjects;
}

/** The server writes "no limit" as -1, in some versions as 0. */
function unlimited(value: number | undefined): number {
  return value === undefined || value <= 0 ? -1 : value;
}

function sorted(subjects: readonly string[] | undefined): string {
  return (subjects ?? []).toSorted().join(" ");
}

function stateOf(info: StreamInfo): StreamState {
  return {
    incarnation: info.created,
    firstSeq: info.state.first_seq,
    lastSeq: info.state.last_seq,
    messageCount: info.state.messages,
    byteCount: info.state.bytes,
  };
}
