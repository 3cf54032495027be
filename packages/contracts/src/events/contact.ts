/** Facts about the people a company writes with. One person per company, whatever number they write to. */
import { Type } from "typebox";
import { PersonField } from "../message.ts";
import { defineEvent } from "./define.ts";
import { ChatIdField, ContactIdField } from "./fields.ts";

const person = { ...PersonField.properties, contactId: ContactIdField };

export const contactCreated = defineEvent({
  type: "contact.created",
  version: 1,
  description:
    "A person is known now, by phone, LID or both. What is unknown may become known later, with contact.merged or silently.",
  data: Type.Object(person),
});
export const contactMerged = defineEvent({
  type: "contact.merged",
  version: 1,
  description:
    "Two contacts turned out to be one person: `mergedContactId` is `contactId` from now on, and each chat in `chats` continues in `into`.",
  data: Type.Object({
    ...person,
    mergedContactId: ContactIdField,
    chats: Type.Array(Type.Object({ chatId: ChatIdField, into: ChatIdField })),
  }),
});
