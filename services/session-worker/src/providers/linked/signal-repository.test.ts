import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { it } from "node:test";
import {
  addTransactionCapability,
  Curve,
  DEFAULT_CONNECTION_CONFIG,
  encodeWAMessage,
  generateSignalPubKey,
  initAuthCreds,
  proto,
  unpadRandomMax16,
  type BinaryNode,
  type SignalDataSet,
  type SignalRepositoryWithLIDStore,
} from "@whiskeysockets/baileys";
import { memoryKeys } from "./credentials.ts";
import { muteConsole } from "./process-setup.ts";
import {
  createSignalRepository,
  JOURNAL_KIND,
  type DecryptJournal,
  type JournalValue,
} from "./signal-repository.ts";
import { SILENT } from "./socket.ts";
import { StanzaIndex, type StanzaPart } from "./stanzas.ts";

muteConsole();

const ALICE = "49171@s.whatsapp.net";
const BOB = "49172@s.whatsapp.net";
const GROUP = "120363@g.us";

/** A party with a store that takes its time, and what the repository asks of its owner. */
class Party {
  readonly creds = initAuthCreds();
  readonly #stored = memoryKeys();
  readonly writes: string[][] = [];
  readonly entries = new Map<string, JournalValue>();
  readonly missing: StanzaPart[] = [];
  readonly stanzas = new StanzaIndex();
  isOver = false;
  isBroken = false;
  readonly journal: DecryptJournal = {
    find: async (hash) => this.entries.get(hash.toString("base64"))?.plaintext,
    noteMissing: async (_hash, part) => {
      this.missing.push(part);
    },
    passOver: () => undefined,
    isOver: () => this.isOver,
    fail: () => {
      this.isOver = true;
    },
  };
  readonly #keys = addTransactionCapability(
    {
      get: async (kind, ids) => {
        await delay(1);
        return this.#stored.get(kind, ids);
      },
      set: async (data) => {
        await delay(2);
        if (this.isBroken) {
          this.isOver = true;
          throw new Error("the database is away");
        }
        this.writes.push(Object.keys(data));
        const { [JOURNAL_KIND]: entries, ...rest } = data as SignalDataSet & {
          [JOURNAL_KIND]?: Record<string, JournalValue>;
        };
        for (const [key, value] of Object.entries(entries ?? {})) this.entries.set(key, value);
        await this.#stored.set(rest);
      },
    },
    SILENT,
    { maxCommitRetries: 1, delayBetweenTriesMs: 0 },
  );
  readonly repository: SignalRepositoryWithLIDStore;

  constructor() {
    const auth = { creds: this.creds, keys: this.#keys };
    this.repository = createSignalRepository(this.stanzas, this.journal)(auth, SILENT);
  }

  /** What one needs to write to this party first. */
  async bundle(keyId: number) {
    const preKey = Curve.generateKeyPair();
    await this.#stored.set({ "pre-key": { [keyId]: preKey } });
    const { signedPreKey, signedIdentityKey, registrationId } = this.creds;
    return {
      registrationId,
      identityKey: generateSignalPubKey(signedIdentityKey.public),
      signedPreKey: {
        keyId: signedPreKey.keyId,
        publicKey: generateSignalPubKey(signedPreKey.keyPair.public),
        signature: signedPreKey.signature,
      },
      preKey: { keyId, publicKey: generateSignalPubKey(preKey.public) },
    };
  }
}

type Sent = { type: "pkmsg" | "msg" | "skmsg"; ciphertext: Uint8Array };

function stanza(id: string, { type, ciphertext }: Sent, group?: string): BinaryNode {
  const from = group === undefined ? { from: ALICE } : { from: group, participant: ALICE };
  return {
    tag: "message",
    attrs: { id, ...from, t: "1" },
    content: [{ tag: "enc", attrs: { v: "2", type }, content: ciphertext }],
  };
}

const textOf = (plaintext: Uint8Array): string =>
  proto.Message.decode(unpadRandomMax16(plaintext)).conversation ?? "";
const padded = (message: proto.IMessage): Buffer => encodeWAMessage(message);

/** Alice writes to Bob; Bob's party gets the stanza as his socket would. */
async function acquainted(): Promise<{
  alice: Party;
  bob: Party;
  write: (text: string) => Promise<Sent>;
  deliver: (id: string, sent: Sent) => Promise<Uint8Array>;
}> {
  const [alice, bob] = [new Party(), new Party()];
  await alice.repository.injectE2ESession({ jid: BOB, session: await bob.bundle(7) });
  return {
    alice,
    bob,
    write: (text) =>
      alice.repository.encryptMessage({ jid: BOB, data: padded({ conversation: text }) }),
    deliver: (id, sent) => {
      bob.stanzas.note(stanza(id, sent), { id: BOB, lid: undefined });
      const { ciphertext } = sent;
      return bob.repository.decryptMessage({
        jid: ALICE,
        type: sent.type === "msg" ? "msg" : "pkmsg",
        ciphertext,
      });
    },
  };
}

it("commits plaintext, stanza and ratchet in one write", async () => {
  const { bob, write, deliver } = await acquainted();
  assert.equal(textOf(await deliver("A1", await write("one"))), "one");
  assert.equal(textOf(await deliver("A2", await write("two"))), "two");
  assert.equal(bob.writes.length, 2);
  for (const kinds of bob.writes) {
    assert.ok(kinds.includes("session") && kinds.includes(JOURNAL_KIND), kinds.join());
  }
  const entries = [...bob.entries.values()];
  assert.deepEqual(
    entries.map(({ part, plaintext }) => [part.attrs["id"], part.isOwn, textOf(plaintext)]),
    [
      ["A1", false, "one"],
      ["A2", false, "two"],
    ],
  );
});

it("answers what is delivered again from the journal, a first message as well", async () => {
  const { alice, bob, write, deliver } = await acquainted();
  const first = await write("first");
  assert.equal(first.type, "pkmsg");
  await deliver("A1", first);
  assert.equal(textOf(await deliver("A1", first)), "first");
  // Bob answers, so that Alice's next one is an ordinary message.
  const answer = await bob.repository.encryptMessage({ jid: ALICE, data: padded({}) });
  alice.stanzas.note(stanza("B1", answer), { id: ALICE, lid: undefined });
  await alice.repository.decryptMessage({ jid: BOB, ...answer });
  const second = await write("second");
  assert.equal(second.type, "msg");
  await deliver("A2", second);
  assert.equal(textOf(await deliver("A2", second)), "second");
  assert.equal(bob.missing.length, 0);
  // The same ciphertext under another id is another delivery.
  await assert.rejects(deliver("A3", second), /No matching sessions/);
});

it("tells the journal before the library learns that something cannot be decrypted", async () => {
  const { bob, write, deliver } = await acquainted();
  const sent = await write("bent");
  const bent = Buffer.from(sent.ciphertext);
  // Behind the MAC stand numbers that nobody checks.
  const place = bent.length - 9;
  bent.writeUInt8(bent.readUInt8(place) ^ 1, place);
  await assert.rejects(deliver("A1", { ...sent, ciphertext: bent }));
  assert.deepEqual(
    bob.missing.map(({ attrs, missing }) => [attrs["id"], missing]),
    [["A1", "undecryptable"]],
  );
  assert.equal(bob.entries.size, 0);
  assert.equal(textOf(await deliver("A1", sent)), "bent");
});

it("keeps silent when the write fails: the message stays with the server and can still be read", async () => {
  const { bob, write, deliver } = await acquainted();
  const sent = await write("kept");
  bob.isBroken = true;
  const outcome = deliver("A1", sent).then(
    () => "answered",
    () => "failed",
  );
  assert.equal(await Promise.race([outcome, delay(100, "silence")]), "silence");
  assert.equal(bob.entries.size, 0);
  assert.equal(bob.missing.length, 0);
});

it("steps a contact's ratchet one at a time, whatever the library does meanwhile", async () => {
  const { alice, bob, write, deliver } = await acquainted();
  await deliver("A0", await write("hello"));
  const rounds = 15;
  await Promise.all(
    Array.from({ length: rounds }, async (_, index) => {
      const [fromAlice, fromBob] = await Promise.all([
        write(`a${index}`),
        bob.repository.encryptMessage({
          jid: ALICE,
          data: padded({ conversation: `b${index}` }),
        }),
      ]);
      alice.stanzas.note(stanza(`B${index}`, fromBob), { id: ALICE, lid: undefined });
      const [atBob, atAlice] = await Promise.all([
        deliver(`A${index + 1}`, fromAlice),
        alice.repository.decryptMessage({ jid: BOB, ...fromBob }),
      ]);
      assert.deepEqual([textOf(atBob), textOf(atAlice)], [`a${index}`, `b${index}`]);
    }),
  );
  assert.equal(bob.missing.length + alice.missing.length, 0);
});

it("learns a group's key in the same write as the message that brings it, and once", async () => {
  const { alice, bob } = await acquainted();
  const data = padded({ conversation: "to all" });
  const { ciphertext, senderKeyDistributionMessage } = await alice.repository.encryptGroupMessage({
    group: GROUP,
    meId: ALICE,
    data,
  });
  const item = {
    groupId: GROUP,
    axolotlSenderKeyDistributionMessage: senderKeyDistributionMessage,
  };
  const key = await alice.repository.encryptMessage({
    jid: BOB,
    data: padded({ senderKeyDistributionMessage: item }),
  });
  bob.stanzas.note(stanza("G1", key, GROUP), { id: BOB, lid: undefined });
  await bob.repository.decryptMessage({ jid: ALICE, ...key });
  assert.equal(bob.writes.length, 1);
  assert.ok(bob.writes[0]?.includes("sender-key"), bob.writes[0]?.join());
  await bob.repository.processSenderKeyDistributionMessage({ authorJid: ALICE, item });
  assert.equal(bob.writes.length, 1);
  bob.stanzas.note(stanza("G1", { type: "skmsg", ciphertext }, GROUP), {
    id: BOB,
    lid: undefined,
  });
  const plaintext = await bob.repository.decryptGroupMessage({
    group: GROUP,
    authorJid: ALICE,
    msg: ciphertext,
  });
  assert.equal(textOf(plaintext), "to all");
  assert.equal(bob.entries.size, 2);
});

it("learns no key of a group but the one in which it came", async () => {
  const { alice, bob } = await acquainted();
  const { senderKeyDistributionMessage } = await alice.repository.encryptGroupMessage({
    group: "999@g.us",
    meId: ALICE,
    data: padded({ conversation: "x" }),
  });
  const item = {
    groupId: "999@g.us",
    axolotlSenderKeyDistributionMessage: senderKeyDistributionMessage,
  };
  for (const [id, group] of [
    ["D1", undefined],
    ["D2", GROUP],
  ] as const) {
    const key = await alice.repository.encryptMessage({
      jid: BOB,
      data: padded({ conversation: "hello", senderKeyDistributionMessage: item }),
    });
    bob.stanzas.note(stanza(id, key, group), { id: BOB, lid: undefined });
    await bob.repository.decryptMessage({ jid: ALICE, ...key });
    await bob.repository.processSenderKeyDistributionMessage({ authorJid: ALICE, item });
  }
  assert.equal(bob.entries.size, 2);
  assert.ok(bob.writes.every((kinds) => !kinds.includes("sender-key")));
});

it("ends the connection when the library passes a ciphertext it was never given", async () => {
  const { bob, write } = await acquainted();
  const { ciphertext } = await write("from nowhere");
  const outcome = bob.repository.decryptMessage({ jid: ALICE, type: "pkmsg", ciphertext });
  assert.equal(
    await Promise.race([outcome.catch(() => "failed"), delay(100, "silence")]),
    "silence",
  );
  assert.equal(bob.isOver, true);
});

it("is the library's own in everything else", () => {
  const party = new Party();
  const stock = DEFAULT_CONNECTION_CONFIG.makeSignalRepository(
    {
      creds: party.creds,
      keys: addTransactionCapability(memoryKeys(), SILENT, {
        maxCommitRetries: 1,
        delayBetweenTriesMs: 0,
      }),
    },
    SILENT,
  );
  assert.deepEqual(Object.keys(party.repository).toSorted(), Object.keys(stock).toSorted());
});

/** Two numbers of one process that know the same person. */
const colleagues = () => Promise.all([acquainted(), acquainted()]);

it("numbers that write to the same person at once step their own ratchets, each step stored", async () => {
  const pairs = await colleagues();
  const texts = ["one", "two", "three", "four"];
  const before = pairs.map(({ alice }) => alice.writes.length);
  const sent = await Promise.all(
    pairs.map(async ({ write }) => {
      const all: Sent[] = [];
      for (const text of texts) all.push(await write(text));
      return all;
    }),
  );
  for (const [at, { alice, deliver }] of pairs.entries()) {
    const steps = alice.writes.slice(before[at]);
    assert.equal(steps.filter((kinds) => kinds.includes("session")).length, texts.length);
    const read: string[] = [];
    for (const [nth, one] of (sent[at] ?? []).entries()) {
      read.push(textOf(await deliver(`m${nth}`, one)));
    }
    assert.deepEqual(read, texts);
  }
});

it("numbers that hear from the same person at once store each message with its ratchet", async () => {
  const pairs = await colleagues();
  const texts = ["one", "two", "three", "four"];
  await Promise.all(
    pairs.map(async ({ write, deliver, bob }) => {
      for (const [nth, text] of texts.entries()) {
        assert.equal(textOf(await deliver(`m${nth}`, await write(text))), text);
      }
      const withEntries = bob.writes.filter((kinds) => kinds.includes(JOURNAL_KIND));
      assert.equal(withEntries.length, texts.length);
      for (const kinds of withEntries) assert.ok(kinds.includes("session"), String(kinds));
    }),
  );
});

it("numbers that open a session with the same person at once both have it", async () => {
  const numbers = [new Party(), new Party(), new Party()];
  const bob = new Party();
  const bundles = await Promise.all(numbers.map((_, at) => bob.bundle(at + 1)));
  await Promise.all(
    numbers.map(async ({ repository, writes }, at) => {
      const session = bundles[at];
      assert.ok(session);
      for (let round = 0; round < 3; round += 1) {
        const before = writes.length;
        await repository.injectE2ESession({ jid: BOB, session });
        assert.deepEqual(writes.slice(before), [["session"]]);
      }
    }),
  );
});

it("two who write to each other for the first time at once understand each other from then on", async () => {
  const [alice, bob] = [new Party(), new Party()];
  const ends = [
    { own: alice, jid: BOB, other: bob, from: ALICE },
    { own: bob, jid: ALICE, other: alice, from: BOB },
  ];
  await alice.repository.injectE2ESession({ jid: BOB, session: await bob.bundle(7) });
  await bob.repository.injectE2ESession({ jid: ALICE, session: await alice.bundle(8) });
  for (let round = 0; round < 6; round += 1) {
    // All of it crosses on the way.
    const sent = await Promise.all(
      ends.map(({ own, jid }) =>
        own.repository.encryptMessage({ jid, data: padded({ conversation: `r${round}` }) }),
      ),
    );
    for (const [at, { other, from, jid }] of ends.entries()) {
      const one = sent[at];
      assert.ok(one);
      const node = stanza(`${at} ${round}`, one);
      other.stanzas.note({ ...node, attrs: { ...node.attrs, from } }, { id: jid, lid: undefined });
      const { type, ciphertext } = one;
      const plaintext = await other.repository.decryptMessage({ jid: from, type, ciphertext });
      assert.equal(textOf(plaintext), `r${round}`);
    }
  }
  assert.deepEqual([alice.missing, bob.missing], [[], []]);
});
