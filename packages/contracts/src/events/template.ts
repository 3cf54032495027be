/** Facts about message templates: told once for each company that has a number in the account. */
import { Type } from "typebox";
import { defineEvent } from "./define.ts";
import { noticeFields } from "./notice.ts";
import { nullable } from "./fields.ts";

const text = nullable(Type.String());
const notice = Type.Object({
  ...noticeFields,
  template: Type.Object({ id: text, name: text, language: text }),
});

export const templateStatusChanged = defineEvent({
  type: "template.status_changed",
  version: 1,
  description:
    "A template was approved, rejected, paused, disabled, …: `event` says what. Only approved ones can be sent.",
  data: notice,
});
export const templateQualityChanged = defineEvent({
  type: "template.quality_changed",
  version: 1,
  description: "What people think of a template; a bad one is paused before long.",
  data: notice,
});
export const templateComponentsChanged = defineEvent({
  type: "template.components_changed",
  version: 1,
  description: "The text or the buttons of a template were changed.",
  data: notice,
});
export const templateCategoryChanged = defineEvent({
  type: "template.category_changed",
  version: 1,
  description: "WhatsApp puts a template into another category, which has another price.",
  data: notice,
});
