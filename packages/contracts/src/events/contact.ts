/** Facts about the people a company writes with. One person per company, whatever number they write to. */
import { Type } from "typebox";
import { PersonField } from "../message.ts";
import { defineEvent } from "./define.ts";
import { ChatIdField, ContactIdField, nullable } from "./fields.ts";
import { noticeFields } from "./notice.ts";

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

const about = Type.Object({ ...noticeFields, person: nullable(PersonField) });

export const contactChanged = defineEvent({
  type: "contact.changed",
  version: 1,
  description:
    "WhatsApp tells that a person has another phone or business-scoped id now; `person` is who they are from now on.",
  data: about,
});
export const contactPreferenceChanged = defineEvent({
  type: "contact.preference_changed",
  version: 1,
  description:
    "A person does, or does not, want marketing messages from this company any more: `event` is stop or resume, or WhatsApp's word. Obey it.",
  data: about,
});
export const contactSaved = defineEvent({
  type: "contact.saved",
  version: 1,
  description:
    "The number's owner added a person to the address book of the phone, or (`event` remove) took them out.",
  data: about,
});
