import { afterEach, beforeEach } from "node:test";
import assert from "node:assert/strict";
import { startNats } from "@manyline/testkit";
import type { NatsServer } from "@manyline/testkit";
import { createBusOver } from "../src/bus/bus.ts";
import type { Connect } from "../src/bus/wire.ts";
import { createLogger } from "../src/index.ts";
import type { Bus, BusOptions, StreamDefinition, StreamMessage } from "../src/index.ts";

export const EVENTS: StreamDefinition = {
  name: "EVENTS",
  subjects: ["session.>", "message.>"],
  maxAgeMs: 3_600_000,
  maxBytes: 64 * 1024 * 1024,
  replicas: 1,
};

/** What each test of the bus has: an own server, buses that are closed after it, their log. */
export type BusRoom = {
  readonly nats: NatsServer;
  /** Everything logged so far in this test. */
  readonly log: string;
  open(options?: Partial<BusOptions>): Bus;
  openReady(options?: Partial<BusOptions>): Promise<Bus>;
};

/** To be called inside a `describe`: `env` decides which nats-server is started. */
export function useBusRoom(connect: Connect, env: NodeJS.ProcessEnv, config = ""): BusRoom {
  let nats: NatsServer | undefined;
  let buses: Bus[] = [];
  let log = "";

  beforeEach(async () => {
    log = "";
    nats = await startNats({ env, config });
  });

  afterEach(async () => {
    await Promise.all(buses.map((bus) => bus.close()));
    buses = [];
    await nats?.[Symbol.asyncDispose]();
  });

  function server(): NatsServer {
    assert.ok(nats !== undefined, "only inside a test");
    return nats;
  }

  function open(options: Partial<BusOptions> = {}): Bus {
    const destination = {
      write(line: string): void {
        log += line;
      },
    };
    const logger = createLogger({ service: "test", version: "0", destination });
    const bus = createBusOver(connect, {
      servers: server().url,
      name: "test",
      reconnectMs: [20, 100],
      logger,
      ...options,
    });
    buses.push(bus);
    return bus;
  }

  return {
    get nats() {
      return server();
    },
    get log() {
      return log;
    },
    open,
    openReady: async (options) => {
      const bus = open(options);
      assert.ok(await bus.waitConnected(5_000));
      return bus;
    },
  };
}

/** Publishes messages `from` to `to`, with the texts m1, m2 … */
export async function publishMany(bus: Bus, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n += 1) {
    await bus.publish(`message.sent.acme.${n}`, `m${n}`, { msgId: `id-${n}` });
  }
}

export function textOf(message: StreamMessage): string {
  return Buffer.from(message.data).toString();
}

/** Messages that the server still waits for an answer to, or has not delivered. */
export async function unanswered(bus: Bus, durable: string): Promise<number> {
  const answer = await bus.request(`$JS.API.CONSUMER.INFO.EVENTS.${durable}`);
  const info = JSON.parse(Buffer.from(answer.data).toString()) as {
    num_ack_pending: number;
    num_pending: number;
  };
  return info.num_ack_pending + info.num_pending;
}

export async function consumerCount(bus: Bus): Promise<number> {
  const answer = await bus.request("$JS.API.STREAM.INFO.EVENTS");
  const info = JSON.parse(Buffer.from(answer.data).toString()) as {
    state: { consumer_count: number };
  };
  return info.state.consumer_count;
}
