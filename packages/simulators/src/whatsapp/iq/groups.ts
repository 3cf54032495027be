import type { Account } from "../account.ts";
import type { Connection } from "../connection.ts";
import {
  addMembers,
  createGroup,
  groupOf,
  removeMembers,
  renameGroup,
} from "../messages/group-changes.ts";
import { memberNode } from "../messages/group.ts";
import type { Group } from "../messages/group.ts";
import { bytes, el, kids } from "../stanza.ts";
import type { Stanza } from "../stanza.ts";
import type { IqHandler } from "./router.ts";

/** Groups: metadata, the list of one's own, making, joining, leaving, renaming. */
export const handleGroups: IqHandler = (connection, iq, child) => {
  const { device, server } = connection;
  if (!device || !child) return false;
  const me = device.account;
  switch (child.tag) {
    case "participating": {
      const own = [...server.groups.values()].filter((group) => group.members.has(me));
      connection.reply(iq, [
        el(
          "groups",
          {},
          own.map((group) => group.toStanza()),
        ),
      ]);
      return true;
    }
    case "create": {
      const others = accountsIn(connection, child);
      const group = createGroup(me, child.attrs["subject"] ?? "", others);
      connection.reply(iq, [group.toStanza()]);
      return true;
    }
    case "leave":
      for (const each of kids(child, "group")) {
        const group = groupOf(server, each.attrs["id"] ?? "", me);
        if (group) removeMembers(group, me, [me]);
      }
      connection.reply(iq, [child]);
      return true;
    case "query":
    case "subject":
    case "add":
    case "remove":
      return withGroup(connection, iq, child, me);
    default:
      return false;
  }
};

/** Requests about one group, which only its members may make. */
function withGroup(connection: Connection, iq: Stanza, child: Stanza, me: Account): boolean {
  const group = groupOf(connection.server, iq.attrs["to"] ?? "", me);
  if (!group) {
    connection.replyError(iq, 403, "forbidden");
    return true;
  }
  connection.reply(iq, answer(connection, group, child, me));
  return true;
}

function answer(
  connection: Connection,
  group: Group,
  child: Stanza,
  me: Account,
): Stanza[] | undefined {
  switch (child.tag) {
    case "query":
      return [group.toStanza()];
    case "subject":
      renameGroup(group, me, bytes(child)?.toString() ?? "");
      return undefined;
    default: {
      const accounts = accountsIn(connection, child);
      const change = child.tag === "add" ? addMembers : removeMembers;
      const done = change(group, me, accounts);
      return [
        el(
          child.tag,
          {},
          done.map((account) => memberNode(group, account)),
        ),
      ];
    }
  }
}

function accountsIn({ server }: Connection, node: Stanza): Account[] {
  return kids(node, "participant").flatMap((each) => server.find(each.attrs["jid"] ?? "") ?? []);
}
