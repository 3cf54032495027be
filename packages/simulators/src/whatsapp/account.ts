import type { Device } from "./device.ts";
import { lidOf } from "./jid.ts";
import type { PhoneOptions } from "./options.ts";
import { Phone } from "./phone.ts";
import type { PhoneErrorCode } from "./phone-error.ts";
import type { WhatsAppServer } from "./server.ts";

/** One phone number: its phone (device 0) and its linked devices. A number that does nothing costs little. */
export class Account {
  readonly server: WhatsAppServer;
  /** international digits */
  readonly phone: string;
  readonly lid: string;
  readonly devices = new Map<number, Device>();
  readonly primary: Phone;
  name: string;
  /** false: the server answers that this number has no WhatsApp */
  exists = true;
  /** options of this phone that differ from the server's */
  overrides: Partial<PhoneOptions> = {};
  nextDeviceId = 1;
  nextKeyIndex = 1;
  /** what the phone showed last, until a link succeeds */
  lastError: PhoneErrorCode | undefined;
  /** times of accepted hellos within the rolling hour */
  helloTimes: number[] = [];

  constructor(server: WhatsAppServer, phone: string, name: string) {
    this.server = server;
    this.phone = phone;
    this.name = name;
    this.lid = lidOf(phone);
    this.primary = new Phone(this);
  }

  get options(): PhoneOptions {
    return { ...this.server.options, ...this.overrides };
  }

  /** WhatsApp forbids the account to write to strangers; the end in unix seconds */
  timelock: { endsAt: number; type: string } | undefined;
  /** accounts with which there is a chat, in either direction */
  #met: Set<Account> | undefined;

  hasMet(other: Account): boolean {
    return this.#met?.has(other) ?? false;
  }

  /** A message passed between the two. */
  meet(other: Account): void {
    if (this.hasMet(other)) return;
    (this.#met ??= new Set()).add(other);
    other.meet(this);
  }

  /** the phone and every linked device */
  targets(): (Phone | Device)[] {
    return [this.primary, ...this.devices.values()];
  }

  /** device 0 is the phone */
  target(id: number): Phone | Device | undefined {
    return id === 0 ? this.primary : this.devices.get(id);
  }
}
