import { ManylineError, parseMessageId } from "@manyline/contracts";
import {
  getChat,
  getContact,
  getMessage,
  listChats,
  listMessages,
  withCompany,
} from "@manyline/db";
import type { NumberRow, Tx } from "@manyline/db";
import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { findNumber } from "../numbers.ts";
import { invalidRequest } from "../problem.ts";
import { LimitField, envelope, limitOf } from "./operator-schemas.ts";
import { CompanyParams, NumberQuery, problems, ref } from "./schemas.ts";

const SESSION = "/api/whatsapp/sessions/:companyId";
const tags = ["messages"];
const Before = Type.Optional(Type.String({ description: "`next` of the page before" }));

/** Reading messages and chats. */
export function registerMessages(app: App, deps: Deps): void {
  app.get(
    `${SESSION}/messages`,
    {
      schema: {
        tags,
        summary: "List messages of a number, of one chat or person, the newest first",
        params: CompanyParams,
        querystring: Type.Object(
          {
            ...NumberQuery.properties,
            chat: Type.Optional(Type.String({ description: "cht_…; only this chat" })),
            contact: Type.Optional(
              Type.String({ description: "con_…; only the chat with this person" }),
            ),
            before: Before,
            limit: LimitField,
          },
          { additionalProperties: false },
        ),
        response: { 200: ref("MessageList"), ...problems },
      },
    },
    async (request) => {
      const { chat, contact, before } = request.query;
      const limit = limitOf(request.query.limit);
      if (before !== undefined && parseMessageId(before) === undefined) {
        throw invalidRequest({ field: "before", message: "must be `next` of a page" });
      }
      if (chat !== undefined && contact !== undefined) {
        throw invalidRequest({ field: "contact", message: "chat names the person already" });
      }
      return inNumber(deps, request, async (tx, number) => {
        const { companyNo, numberNo, numberId } = number;
        if (chat !== undefined && (await getChat(tx, companyNo, chat))?.numberId !== numberId) {
          throw new ManylineError("CHAT_NOT_FOUND");
        }
        if (contact !== undefined && !(await getContact(tx, companyNo, contact))) {
          throw new ManylineError("CONTACT_NOT_FOUND");
        }
        const query = { companyNo, numberNo, chatId: chat, contactId: contact, before };
        const rows = await listMessages(tx, { ...query, limit: limit + 1 });
        const messages = rows.slice(0, limit);
        const next = rows.length > limit ? (messages.at(-1)?.messageId ?? null) : null;
        return { success: true, messages, next };
      });
    },
  );

  app.get(
    `${SESSION}/messages/:messageId`,
    {
      schema: {
        tags,
        summary: "Read a message, sent or received, with what became of it",
        params: Type.Object({
          ...CompanyParams.properties,
          messageId: Type.String({ description: "msg_…" }),
        }),
        response: { 200: envelope({ message: ref("Message") }), ...problems },
      },
    },
    async (request) => {
      const tenant = tenantOf(request);
      const principal = principalOf(request);
      const { messageId } = request.params;
      return withCompany(deps.appDb, tenant.companyNo, async (tx) => {
        const message = await getMessage(tx, tenant.companyNo, messageId);
        // A token for one number sees that one's messages.
        const own =
          principal.numberNo === null
            ? undefined
            : await findNumber(tx, tenant, principal, undefined);
        if (!message || (own && own.numberId !== message.numberId)) {
          throw new ManylineError("MESSAGE_NOT_FOUND");
        }
        return { success: true, message };
      });
    },
  );

  app.get(
    `${SESSION}/chats`,
    {
      schema: {
        tags,
        summary: "List chats of a number, the one with the newest message first",
        params: CompanyParams,
        querystring: Type.Object(
          { ...NumberQuery.properties, before: Before, limit: LimitField },
          { additionalProperties: false },
        ),
        response: { 200: ref("ChatList"), ...problems },
      },
    },
    async (request) => {
      const { before } = request.query;
      const limit = limitOf(request.query.limit);
      return inNumber(deps, request, async (tx, { companyNo, numberNo }) => {
        const page = await listChats(tx, { companyNo, numberNo, before, limit });
        return { success: true, ...page };
      });
    },
  );
}

/** Throws NUMBER_NOT_FOUND. */
function inNumber<T>(
  deps: Pick<Deps, "appDb">,
  request: FastifyRequest<{ Querystring: { number?: string } }>,
  work: (tx: Tx, number: NumberRow) => Promise<T>,
): Promise<T> {
  const tenant = tenantOf(request);
  return withCompany(deps.appDb, tenant.companyNo, async (tx) => {
    const number = await findNumber(tx, tenant, principalOf(request), request.query.number);
    if (!number) throw new ManylineError("NUMBER_NOT_FOUND");
    return work(tx, number);
  });
}
