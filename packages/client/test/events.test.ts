/** Subscribers against a real gateway and NATS, with breaks in between. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { EVENTS_STREAM, contactMerged, streamSubjects } from "@manyline/contracts";
import {
  Owner,
  addCompany,
  ask,
  openLine,
  openWorld,
  stranger,
  textFrom,
} from "@manyline/gateway/testing";
import type { Line, World } from "@manyline/gateway/testing";
import { until } from "@manyline/testkit";
import {
  ManylineApiError,
  StreamEnded,
  isEvent,
  messageReceived,
  natsSource,
  sseSource,
  subscribe,
} from "../src/index.ts";
import type { ManylineEvent, SseOptions, SubscribeOptions, Subscription } from "../src/index.ts";

let world: World;
let owner: Owner;
before(async () => {
  world = await openWorld();
  owner = await new Owner(world).start();
  await world.deps.bus.ensureStream({
    name: EVENTS_STREAM,
    subjects: streamSubjects(),
    maxAgeMs: 3_600_000,
    maxBytes: 10_000_000,
    replicas: 1,
  });
});
after(async () => {
  await owner.stop();
  await world[Symbol.asyncDispose]();
});

type Collected = { readonly subscription: Subscription; readonly events: ManylineEvent[] };

const textsOf = (events: readonly ManylineEvent[]): (string | null)[] =>
  events.flatMap((event) => (isEvent(event, messageReceived) ? [event.data.text] : []));

/** A subscription over SSE that collects, open by now. */
async function listen(
  { company }: Line,
  options: Partial<SseOptions> = {},
  more: Partial<SubscribeOptions> = {},
): Promise<Collected> {
  const events: ManylineEvent[] = [];
  const opened = Promise.withResolvers<void>();
  const source = sseSource({
    url: world.url,
    companyId: company.id,
    token: company.token,
    ...options,
    onState: (state, error) => {
      if (state === "open") opened.resolve();
      options.onState?.(state, error);
    },
  });
  const subscription = subscribe(source, {
    handler: (event) => {
      events.push(event);
    },
    ...more,
  });
  await Promise.race([opened.promise, subscription.done]);
  return { subscription, events };
}

/** Stands between a subscriber and the gateway, to cut connections. */
async function openCable(): Promise<{ url: string; cut: () => void; close: () => void }> {
  const { port } = new URL(world.url);
  const sockets = new Set<net.Socket>();
  const server = net.createServer((near) => {
    const far = net.connect(Number(port), "127.0.0.1");
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket
        .on("error", () => undefined)
        .on("close", () => {
          near.destroy();
          far.destroy();
          sockets.delete(socket);
        });
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`,
    cut,
    close: () => {
      cut();
      server.close();
    },
  };
}

describe("over SSE", () => {
  test("events of two chats, each in its order, of one company", async () => {
    const [line, other] = [await openLine(world, owner), await openLine(world, owner)];
    const { subscription, events } = await listen(line);
    const [anna, boris] = [stranger(), stranger()];
    const items = Array.from({ length: 30 }, (_, i) =>
      textFrom(i % 3 === 0 ? boris : anna, { text: `${i % 3 === 0 ? "b" : "a"}${i}` }),
    );
    for (const item of items) await owner.receive(line.numberNo, item);
    await owner.receive(other.numberNo, textFrom(stranger(), { text: "foreign" }));
    await until(() => textsOf(events).length >= 30, { label: "all" });
    await subscription.close();
    for (const chat of ["a", "b"]) {
      const of = (texts: readonly (string | null | undefined)[]) =>
        texts.filter((text) => text?.startsWith(chat));
      assert.deepEqual(of(textsOf(events)), of(items.map(({ text }) => text)));
    }
    assert.equal(new Set(events.map(({ id }) => id)).size, events.length);
    assert.ok(!textsOf(events).includes("foreign"));
    assert.ok(events.every(({ companyId }) => companyId === line.company.id));
  });

  test("nothing is missed and nothing comes twice over cut connections, also before the first event", async () => {
    const line = await openLine(world, owner);
    const cable = await openCable();
    let opened = 0;
    const { subscription, events } = await listen(line, {
      url: cable.url,
      only: ["message"],
      onState: (state) => {
        if (state === "open") opened += 1;
      },
    });
    const person = stranger();
    // The snapshot is there; what is written while the cable is cut is missed by the connection.
    await until(() => world.deps.streams.count > 0, { label: "stream" });
    for (let round = 0; round < 4; round += 1) {
      const countBefore = opened;
      cable.cut();
      for (let i = 0; i < 5; i += 1) {
        await owner.receive(line.numberNo, textFrom(person, { text: `${round}.${i}` }));
      }
      await until(() => opened > countBefore, { label: "opened again" });
    }
    const expected = Array.from({ length: 20 }, (_, i) => `${Math.floor(i / 5)}.${i % 5}`);
    await until(() => events.length >= expected.length, {
      label: `all, had ${events.length}`,
      deadlineMs: 10_000,
    });
    await subscription.close();
    cable.close();
    assert.deepEqual(textsOf(events), expected);
  });

  test("from where a former process was: all, and only a little twice", async () => {
    const line = await openLine(world, owner);
    let place: Date | undefined;
    const first = await listen(line, {
      only: ["message"],
      onProgress: (since) => {
        place = since;
      },
    });
    const person = stranger();
    await owner.receive(line.numberNo, textFrom(person, { text: "one" }));
    await until(() => place, { label: "progress" });
    await first.subscription.close();
    const missed = Array.from({ length: 300 }, (_, i) => textFrom(person, { text: `missed ${i}` }));
    await owner.receive(line.numberNo, ...missed);
    assert.ok(place && place.getTime() < Date.now() - 10_000);
    const second = await listen(line, { only: ["message"], since: place });
    await until(() => textsOf(second.events).length >= 301, { label: "missed" });
    await second.subscription.close();
    assert.deepEqual(textsOf(second.events), ["one", ...missed.map(({ text }) => text)]);
  });

  test("a handler that fails gets the event again, and only its chat waits", async () => {
    const line = await openLine(world, owner);
    const handled: string[] = [];
    let failures = 0;
    const { subscription } = await listen(
      line,
      { only: ["message"] },
      {
        handler: ({ data }) => {
          const { text } = data as { text: string };
          if (text === "a1" && (failures += 1) < 3) throw new Error("not yet");
          handled.push(text);
        },
      },
    );
    const [anna, boris] = [stranger(), stranger()];
    await owner.receive(
      line.numberNo,
      textFrom(anna, { text: "a1" }),
      textFrom(anna, { text: "a2" }),
      textFrom(boris, { text: "b1" }),
    );
    await until(() => handled.length === 3, { label: "handled" });
    await subscription.close();
    assert.deepEqual(handled, ["b1", "a1", "a2"]);
  });

  test("what cannot go on says so: a handler that gives up, tokens that are refused or revoked", async () => {
    const line = await openLine(world, owner);
    const failing = await listen(
      line,
      { only: ["message"] },
      { attempts: 2, handler: () => Promise.reject(new Error("broken handler")) },
    );
    const givenUp: string[] = [];
    const patient = await listen(
      line,
      { only: ["message"] },
      {
        attempts: 1,
        handler: () => Promise.reject(new Error("broken handler")),
        onGiveUp: ({ id }) => {
          givenUp.push(id);
        },
      },
    );
    await owner.receive(line.numberNo, textFrom(stranger()));
    await assert.rejects(failing.subscription.done, /broken handler/);
    await assert.rejects(failing.subscription.close(), /broken handler/);
    await until(() => givenUp.length === 1, { label: "given up" });
    await patient.subscription.close();

    const nobody = subscribe(
      sseSource({ url: world.url, companyId: line.company.id, token: "mly_a_nobody" }),
      { handler: () => undefined },
    );
    await assert.rejects(
      nobody.done,
      (error) => error instanceof ManylineApiError && error.code === "UNAUTHORIZED",
    );
    const company = await addCompany(world);
    const removed = await listen({ ...line, company });
    await ask(world, { company }, "DELETE", `/../../companies/${company.id}`, {
      token: "test-admin-token-0123456789-abcdefghij",
    });
    await assert.rejects(removed.subscription.done, (error) =>
      error instanceof StreamEnded ? ["company_removed", "revoked"].includes(error.reason) : false,
    );
  });
});

describe("over NATS", () => {
  const families = ["message", "contact"] as const;
  /** Publishes as a relay does, in this order. */
  async function publish(
    events: readonly { natsSubject: string; eventId: string; envelope: unknown }[],
  ) {
    for (const { natsSubject, eventId, envelope } of events) {
      await world.deps.bus.publish(natsSubject, JSON.stringify(envelope), { msgId: eventId });
    }
  }

  test("a durable: delivered out of order and twice, handled in order and once; it goes on where it was", async () => {
    const line = await openLine(world, owner);
    const start = async (events: ManylineEvent[]): Promise<Subscription> =>
      subscribe(
        natsSource({
          nats: world.nats.url,
          companyId: line.company.id,
          families: ["message"],
          durable: "bot",
        }),
        {
          handler: (event) => {
            events.push(event);
          },
        },
      );
    const first: ManylineEvent[] = [];
    const subscription = await start(first);
    // A new durable begins with what is new: wait until it is there.
    const person = stranger();
    const warm = await owner.store(line.numberNo, textFrom(person, { text: "0" }));
    const message = warm.find(({ type }) => type === "message.received");
    await until(
      async () => {
        await world.deps.bus.publish(
          message?.natsSubject ?? "",
          JSON.stringify(message?.envelope),
          { msgId: `warm-${Math.random()}` },
        );
        return first.length > 0;
      },
      { label: "listening" },
    );
    const stored = (
      await owner.store(
        line.numberNo,
        ...["1", "2", "3", "4", "5"].map((text) => textFrom(person, { text })),
      )
    ).filter(({ type }) => type === "message.received");
    const [one, two, three, four, five] = stored;
    assert.ok(one && two && three && four && five);
    await publish([three, one, two]);
    await world.deps.bus.publish(one.natsSubject, JSON.stringify(one.envelope), { msgId: "again" });
    await until(() => first.length === 4, { label: "in order" });
    await subscription.close();
    await publish([five, four]);
    const second: ManylineEvent[] = [];
    const again = await start(second);
    await until(() => textsOf(second).length >= 2, { label: "gone on", deadlineMs: 15_000 });
    await again.close();
    assert.deepEqual(textsOf(first), ["0", "1", "2", "3"]);
    assert.deepEqual(textsOf(second), ["4", "5"]);
  });

  test("a gap that does not close is waited for, and what comes late is said to be", async () => {
    const line = await openLine(world, owner);
    const events: ManylineEvent[] = [];
    const subscription = subscribe(
      natsSource({ nats: world.deps.bus, companyId: line.company.id, families }),
      {
        gapMs: 600,
        handler: (event) => {
          events.push(event);
        },
      },
    );
    const person = stranger();
    const receive = async (...texts: string[]) =>
      (
        await owner.receive(line.numberNo, ...texts.map((text) => textFrom(person, { text })))
      ).filter(({ type }) => type === "message.received");
    await receive("1");
    await until(() => textsOf(events).includes("1"), { label: "listening" });
    // The owner of the test publishes at once; what is held back here was published by nobody.
    const { companyNo } = await owner.number(line.numberNo);
    const chat = events.find((event) => event.chatId)?.chatId;
    const [template] = await receive("2");
    assert.ok(template);
    await until(() => textsOf(events).includes("2"), { label: "second" });
    const make = (seq: number) => {
      const envelope = structuredClone(template.envelope) as {
        id: string;
        seq: number;
        data: { text: string };
      };
      envelope.id = `evt_${String(companyNo).padStart(16, "0")}${String(seq).padStart(16, "0")}`;
      envelope.seq = seq;
      envelope.data.text = String(seq);
      return envelope;
    };
    const poke = (seq: number): void =>
      world.deps.bus.poke(template.natsSubject, JSON.stringify(make(seq)));
    const startedAt = performance.now();
    poke(4);
    await until(() => textsOf(events).includes("4"), { label: "after the gap" });
    assert.ok(performance.now() - startedAt >= 550, "it waited");
    poke(3);
    await until(() => textsOf(events).includes("3"), { label: "late" });
    await subscription.close();
    assert.deepEqual(
      events.filter(({ chatId }) => chatId === chat).map(({ seq, isLate }) => [seq, isLate]),
      [
        [1, false],
        [2, false],
        [4, false],
        [3, true],
      ],
    );
    assert.ok(events.some(({ type }) => type === "contact.created"));
    assert.ok(!events.some((event) => isEvent(event, contactMerged)));
  });
});

test("the example answers each message once, killed again and again", async () => {
  const line = await openLine(world, owner);
  const folder = await mkdtemp(join(tmpdir(), "manyline-client-"));
  const person = stranger();
  const start = (): ChildProcess =>
    spawn(process.execPath, [new URL("../examples/answer-bot.ts", import.meta.url).pathname], {
      env: {
        MANYLINE_URL: world.url,
        MANYLINE_COMPANY: line.company.id,
        MANYLINE_TOKEN: line.company.token,
        PLACE_FILE: join(folder, "place"),
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
  const opened = (bot: ChildProcess): Promise<void> =>
    new Promise((resolve) => bot.stdout?.once("data", () => resolve()));
  const gone = (bot: ChildProcess): Promise<number | null> =>
    new Promise((resolve) => bot.once("exit", resolve));
  const answers = async (): Promise<unknown[]> => {
    const { body } = await ask(world, line, "GET", "/messages?limit=100");
    return (body["messages"] as Record<string, unknown>[])
      .filter(({ direction }) => direction === "out")
      .map(({ text }) => text);
  };
  let bot = start();
  await opened(bot);
  await owner.receive(line.numberNo, textFrom(person, { text: "0" }));
  await until(async () => (await answers()).length === 1, { label: "first answer" });
  for (let round = 1; round <= 3; round += 1) {
    const exit = gone(bot);
    bot.kill("SIGKILL");
    await exit;
    await owner.receive(line.numberNo, textFrom(person, { text: `${round}a` }));
    bot = start();
    await opened(bot);
    await owner.receive(line.numberNo, textFrom(person, { text: `${round}b` }));
  }
  await until(async () => (await answers()).length >= 7, { label: "answers", deadlineMs: 15_000 });
  const exit = gone(bot);
  bot.kill("SIGTERM");
  assert.equal(await exit, 0);
  assert.deepEqual(
    (await answers()).toReversed(),
    ["0", "1a", "1b", "2a", "2b", "3a", "3b"].map((text) => `You wrote: ${text}`),
  );
  await rm(folder, { recursive: true });
});
