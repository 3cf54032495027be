import { randomInt } from "node:crypto";
import type { Account } from "../account.ts";
import { stanzaId } from "../crypto.ts";
import { GROUP_SERVER } from "../jid.ts";
import type { WhatsAppServer } from "../server.ts";
import { el, unixNow } from "../stanza.ts";
import type { Stanza } from "../stanza.ts";
import { Group, memberNode } from "./group.ts";
import { isPhone, jidOf } from "./letter.ts";
import type { Addressing } from "./letter.ts";

/** Makes a group and tells its members' devices. */
export function createGroup(
  creator: Account,
  subject: string,
  others: readonly Account[],
  addressing: Addressing = "lid",
): Group {
  const { server } = creator;
  const jid = `1203630${randomInt(10 ** 11, 10 ** 12 - 1)}@${GROUP_SERVER}`;
  const group = new Group({ jid, creator, subject, addressing });
  for (const account of others) if (account !== creator) group.members.set(account, "member");
  server.groups.set(jid, group);
  server.touch();
  announce(group, creator, el("create", {}, [group.toStanza()]));
  return group;
}

export function addMembers(group: Group, actor: Account, accounts: readonly Account[]): Account[] {
  const added = accounts.filter((account) => !group.members.has(account));
  for (const account of added) group.members.set(account, "member");
  changed(group, actor, "add", added);
  return added;
}

/** Those who are left use new keys from now on. */
export function removeMembers(
  group: Group,
  actor: Account,
  accounts: readonly Account[],
): Account[] {
  const removed = accounts.filter((account) => group.members.has(account));
  changed(group, actor, "remove", removed);
  for (const account of removed) group.members.delete(account);
  for (const account of group.members.keys()) account.primary.messages.changeGroupKey(group.jid);
  return removed;
}

export function renameGroup(group: Group, actor: Account, subject: string): void {
  group.subject = subject;
  group.creator.server.touch();
  announce(group, actor, el("subject", { subject, s_t: String(unixNow()) }));
}

function changed(
  group: Group,
  actor: Account,
  tag: "add" | "remove",
  accounts: readonly Account[],
): void {
  if (accounts.length === 0) return;
  group.creator.server.touch();
  announce(
    group,
    actor,
    el(
      tag,
      {},
      accounts.map((account) => memberNode(group, account)),
    ),
  );
}

/** A notification for every linked device of the members; phones need none. */
function announce(group: Group, actor: Account, change: Stanza): void {
  const { addressing, jid } = group;
  const by = { account: actor, deviceId: 0 };
  for (const target of group.targets()) {
    if (isPhone(target)) continue;
    const attrs = {
      from: jid,
      type: "w:gp2",
      id: stanzaId(),
      t: String(unixNow()),
      participant: jidOf(by, addressing),
      addressing_mode: addressing,
      ...(addressing === "lid"
        ? { participant_pn: jidOf(by, "pn") }
        : { participant_lid: jidOf(by, "lid") }),
    };
    target.push(el("notification", attrs, [change]));
  }
}

/** @returns the group, if the account is in it */
export function groupOf(
  server: WhatsAppServer,
  jid: string,
  member: Account | undefined,
): Group | undefined {
  const group = server.groups.get(jid);
  return group && member && group.members.has(member) ? group : undefined;
}
