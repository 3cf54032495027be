import { proto, unpadRandomMax16 } from "@whiskeysockets/baileys";
import {
  GroupCipher,
  GroupSessionBuilder,
  SenderKeyDistributionMessage,
  SenderKeyName,
  SenderKeyRecord,
} from "@whiskeysockets/baileys/lib/Signal/Group/index.js";
import type { Party } from "./letter.ts";

/** A phone's keys for groups: its own, and those others have handed to it. Lost on a restart, which retries heal. */
export class SenderKeys {
  readonly #records = new Map<string, SenderKeyRecord>();
  /** group → devices that have this phone's key */
  readonly #holders = new Map<string, Set<string>>();

  loadSenderKey(name: SenderKeyName): Promise<SenderKeyRecord> {
    const key = name.toString();
    const known = this.#records.get(key) ?? new SenderKeyRecord();
    this.#records.set(key, known);
    return Promise.resolve(known);
  }

  storeSenderKey(name: SenderKeyName, record: SenderKeyRecord): Promise<void> {
    this.#records.set(name.toString(), record);
    return Promise.resolve();
  }

  /** The message that hands this phone's key of a group to another device. */
  async distribution(group: string, owner: Party): Promise<proto.IMessage> {
    const made = await new GroupSessionBuilder(this).create(nameOf(group, owner));
    return {
      senderKeyDistributionMessage: {
        groupId: group,
        axolotlSenderKeyDistributionMessage: made.serialize(),
      },
    };
  }

  async learn(sender: Party, message: proto.Message.ISenderKeyDistributionMessage): Promise<void> {
    const wire = message.axolotlSenderKeyDistributionMessage;
    if (!message.groupId || !wire) return;
    const made = new SenderKeyDistributionMessage(null, null, null, null, wire);
    await new GroupSessionBuilder(this).process(nameOf(message.groupId, sender), made);
  }

  encrypt(group: string, owner: Party, padded: Uint8Array): Promise<Uint8Array> {
    return new GroupCipher(this, nameOf(group, owner)).encrypt(padded);
  }

  /** @throws without the sender's key, or with a used one */
  async decrypt(group: string, sender: Party, body: Uint8Array): Promise<proto.IMessage> {
    const padded = await new GroupCipher(this, nameOf(group, sender)).decrypt(body);
    return proto.Message.decode(unpadRandomMax16(padded));
  }

  /** Whether a device still lacks the own key; from now on it counts as having it. */
  hand(group: string, to: Party): boolean {
    const holders = this.#holders.get(group) ?? new Set();
    this.#holders.set(group, holders);
    const key = keyOf(to);
    if (holders.has(key)) return false;
    holders.add(key);
    return true;
  }

  /** Somebody left, or could not decrypt: everybody gets a new key. */
  forget(group: string, owner: Party): void {
    this.#holders.delete(group);
    this.#records.delete(nameOf(group, owner).toString());
  }
}

function keyOf({ account, deviceId }: Party): string {
  return `${account.phone}:${deviceId}`;
}

function nameOf(group: string, { account, deviceId }: Party): SenderKeyName {
  const id = account.phone;
  return new SenderKeyName(group, { id, deviceId, toString: () => `${id}.${deviceId}` });
}
