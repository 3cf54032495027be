import { ManylineError, parseContactId } from "@manyline/contracts";
import { getContact, listContacts, withCompany } from "@manyline/db";
import { Type } from "typebox";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { invalidRequest } from "../problem.ts";
import type { Principal } from "../request-types.ts";
import { LimitField, envelope, limitOf } from "./operator-schemas.ts";
import { CompanyParams, problems, ref } from "./schemas.ts";

const SESSION = "/api/whatsapp/sessions/:companyId";
const tags = ["messages"];

/** People are the company's, whatever number they write to. */
export function registerContacts(app: App, deps: Deps): void {
  app.get(
    `${SESSION}/contacts`,
    {
      schema: {
        tags,
        summary: "List the people a company writes with, the youngest first",
        params: CompanyParams,
        querystring: Type.Object(
          {
            search: Type.Optional(
              Type.String({
                minLength: 1,
                maxLength: 100,
                pattern: "^[^\\p{Cc}\\p{Cs}]*$",
                description:
                  "a part of the name or user name, or three digits of the phone or more",
              }),
            ),
            before: Type.Optional(Type.String({ description: "`next` of the page before" })),
            limit: LimitField,
          },
          { additionalProperties: false },
        ),
        response: { 200: ref("ContactList"), ...problems },
      },
    },
    async (request) => {
      refuseBound(principalOf(request));
      const { companyNo } = tenantOf(request);
      const { search, before } = request.query;
      const limit = limitOf(request.query.limit);
      if (before !== undefined && parseContactId(before) === undefined) {
        throw invalidRequest({ field: "before", message: "must be `next` of a page" });
      }
      const rows = await withCompany(deps.appDb, companyNo, (tx) =>
        listContacts(tx, { companyNo, search, before, limit: limit + 1 }),
      );
      const contacts = rows.slice(0, limit);
      const next = rows.length > limit ? (contacts.at(-1)?.id ?? null) : null;
      return { success: true, contacts, next };
    },
  );

  app.get(
    `${SESSION}/contacts/:contactId`,
    {
      schema: {
        tags,
        summary: "Read a contact; of one that was merged the one that goes on",
        params: Type.Object({
          ...CompanyParams.properties,
          contactId: Type.String({ description: "con_…" }),
        }),
        response: { 200: envelope({ contact: ref("Contact") }), ...problems },
      },
    },
    async (request) => {
      refuseBound(principalOf(request));
      const { companyNo } = tenantOf(request);
      const contact = await withCompany(deps.appDb, companyNo, (tx) =>
        getContact(tx, companyNo, request.params.contactId),
      );
      if (!contact) throw new ManylineError("CONTACT_NOT_FOUND");
      return { success: true, contact };
    },
  );
}

/** A token for one number does not see whom the others write with. */
function refuseBound(principal: Principal): void {
  if (principal.numberNo !== null) {
    throw new ManylineError("FORBIDDEN", { detail: "This token is for one number only." });
  }
}
