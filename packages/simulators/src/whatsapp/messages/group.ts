import type { Account } from "../account.ts";
import type { Device } from "../device.ts";
import type { Phone } from "../phone.ts";
import { jidOf } from "./letter.ts";
import type { Addressing } from "./letter.ts";
import { el, unixNow } from "../stanza.ts";
import type { Stanza } from "../stanza.ts";

export type Role = "member" | "admin" | "superadmin";

/** A group: the server knows its members, never its keys. */
export class Group {
  /** `1203…@g.us` */
  readonly jid: string;
  readonly creator: Account;
  readonly createdAt: number;
  readonly addressing: Addressing;
  subject: string;
  readonly members = new Map<Account, Role>();

  constructor(fields: {
    jid: string;
    creator: Account;
    subject: string;
    addressing: Addressing;
    createdAt?: number;
  }) {
    this.jid = fields.jid;
    this.creator = fields.creator;
    this.subject = fields.subject;
    this.addressing = fields.addressing;
    this.createdAt = fields.createdAt ?? unixNow();
    this.members.set(fields.creator, "superadmin");
  }

  /** every device of every member */
  targets(): (Phone | Device)[] {
    return [...this.members.keys()].flatMap((account) => account.targets());
  }

  /** as metadata queries answer it */
  toStanza(): Stanza {
    const { addressing, creator } = this;
    const participants = [...this.members].map(([account, role]) =>
      memberNode(this, account, role),
    );
    const attrs = {
      id: this.jid.slice(0, this.jid.indexOf("@")),
      addressing_mode: addressing,
      subject: this.subject,
      s_t: String(this.createdAt),
      creation: String(this.createdAt),
      creator: jidOf({ account: creator, deviceId: 0 }, addressing),
      creator_pn: jidOf({ account: creator, deviceId: 0 }, "pn"),
      size: String(this.members.size),
    };
    return el("group", attrs, participants);
  }
}

export function memberNode(group: Group, account: Account, role: Role = "member"): Stanza {
  const party = { account, deviceId: 0 };
  const other =
    group.addressing === "lid"
      ? { phone_number: jidOf(party, "pn") }
      : { lid: jidOf(party, "lid") };
  return el("participant", {
    jid: jidOf(party, group.addressing),
    ...other,
    ...(role === "member" ? {} : { type: role }),
  });
}
