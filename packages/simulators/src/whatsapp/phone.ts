import type { Account } from "./account.ts";
import type { Device, KeyBundle } from "./device.ts";
import { PhoneMessages } from "./messages/phone-messages.ts";
import { enterCode } from "./pairing-code.ts";
import { scanQr } from "./pairing-qr.ts";
import { PhoneError } from "./phone-error.ts";
import { PhoneKeys } from "./phone-keys.ts";
import { greetCompanion } from "./phone-greeting.ts";
import { el } from "./stanza.ts";

/** A simulated phone: device 0 of its account. Lives in the server's process. */
export class Phone {
  readonly id = 0;
  readonly account: Account;
  #isOnline = true;
  #keys: PhoneKeys | undefined;
  #messages: PhoneMessages | undefined;

  constructor(account: Account) {
    this.account = account;
  }

  get isOnline(): boolean {
    return this.#isOnline;
  }

  /** What waited for a phone without a connection arrives when it is back. */
  set isOnline(isOnline: boolean) {
    this.#isOnline = isOnline;
    if (isOnline) this.#messages?.flush();
  }

  /** what this phone writes and reads */
  get messages(): PhoneMessages {
    return (this.#messages ??= new PhoneMessages(this));
  }

  /** Created on first use: a contact that never does anything needs no keys. */
  get keys(): PhoneKeys {
    if (!this.#keys) {
      this.#keys = new PhoneKeys();
      this.account.server.touch();
    }
    return this.#keys;
  }

  get hasKeys(): boolean {
    return this.#keys !== undefined;
  }

  restoreKeys(keys: PhoneKeys): void {
    this.#keys = keys;
  }

  /** On a new phone: another identity, and none of the sessions there were. */
  reinstall(): void {
    this.#keys = new PhoneKeys();
    for (const group of this.account.server.groups.values()) {
      if (group.members.has(this.account)) this.messages.changeGroupKey(group.jid);
    }
    this.account.server.touch();
  }

  bundle(): KeyBundle {
    this.account.server.touch();
    return this.keys.bundle();
  }

  /**
   * Points the camera at what the client shows.
   * @returns the linked device, when the link is really finished
   * @throws {PhoneError} what the phone shows instead
   */
  scan(qr: string): Promise<Device> {
    return this.#link(() => scanQr(this.account, qr));
  }

  /** Types a pairing code. Returns and throws as `scan`. */
  enterCode(code: string): Promise<Device> {
    return this.#link(() => enterCode(this.account, code));
  }

  /** Logs out one linked device, or all. @returns how many */
  unlink(deviceId?: number): number {
    const devices = [...this.account.devices.values()].filter(
      (device) => deviceId === undefined || device.id === deviceId,
    );
    for (const device of devices) {
      const { connection } = device;
      this.account.server.removeDevice(device);
      connection?.streamError({ code: "401" }, [el("conflict", { type: "device_removed" })]);
    }
    return devices.length;
  }

  /** Sends a newly linked device what a phone sends first. */
  greet(device: Device): Promise<void> {
    return greetCompanion(this, device);
  }

  async #link(attempt: () => Promise<Device>): Promise<Device> {
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof PhoneError) {
        this.account.lastError = error.code;
        this.account.server.events.emit("phone-changed", this.account);
      }
      throw error;
    }
  }
}
