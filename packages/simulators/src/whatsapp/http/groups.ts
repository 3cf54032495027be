import type { Account } from "../account.ts";
import { addMembers, createGroup, removeMembers, renameGroup } from "../messages/group-changes.ts";
import type { Group } from "../messages/group.ts";
import type { WhatsAppServer } from "../server.ts";
import { HttpError, optionalString, requiredString } from "./json.ts";
import { accountOf, route } from "./route.ts";
import type { RouteInput } from "./route.ts";

/** Groups, as the phone of a member changes them. */
export const GROUP_ROUTES = [
  route("GET", "/groups", ({ server }) => ({ groups: [...server.groups.values()].map(groupView) })),
  route("GET", "/groups/:", (input) => groupView(groupIn(input))),
  route("POST", "/groups", ({ server, body }) => {
    const addressing = optionalString(body, "addressing") ?? "lid";
    if (addressing !== "lid" && addressing !== "pn") {
      throw new HttpError(400, "bad_body", "addressing is lid or pn.");
    }
    const creator = accountOf(server, body["creator"]);
    const members = accounts(server, body["members"]);
    return groupView(createGroup(creator, requiredString(body, "subject"), members, addressing));
  }),
  route("PATCH", "/groups/:", (input) => {
    const { server, body } = input;
    const group = groupIn(input);
    const actor = body["actor"] === undefined ? group.creator : accountOf(server, body["actor"]);
    const subject = optionalString(body, "subject");
    if (subject !== undefined) renameGroup(group, actor, subject);
    addMembers(group, actor, accounts(server, body["add"]));
    removeMembers(group, actor, accounts(server, body["remove"]));
    return groupView(group);
  }),
];

function groupIn({ server, params }: RouteInput): Group {
  const group = server.groups.get(params[0] ?? "");
  if (!group) throw new HttpError(404, "group_not_found", "There is no such group.");
  return group;
}

function accounts(server: WhatsAppServer, value: unknown): Account[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new HttpError(400, "bad_body", "members must be a list.");
  return value.map((each) => accountOf(server, each));
}

function groupView(group: Group) {
  const { jid, subject, creator, addressing, createdAt } = group;
  const members = [...group.members].map(([{ phone }, role]) => ({ msisdn: phone, role }));
  return { id: jid, subject, creator: creator.phone, addressing, createdAt, members };
}
