import assert from "node:assert/strict";
import { test } from "node:test";
import { newChatId, newContactId, newMessageId } from "@manyline/contracts";
import { recipientOf } from "./recipient.ts";

const [chatId, contactId] = [newChatId(), newContactId()];

test("every way to name somebody", () => {
  for (const [text, country, expected] of [
    ["79007654321", null, { phone: "79007654321" }],
    ["+7 (900) 765-43-21", null, { phone: "79007654321" }],
    ["8 900 765 43 21", "RU", { phone: "79007654321" }],
    ["79007654321@s.whatsapp.net", "DE", { phone: "79007654321" }],
    ["79007654321@c.us", null, { phone: "79007654321" }],
    ["187903456789012@lid", null, { lid: "187903456789012" }],
    ["120363041234567890@g.us", null, { groupId: "120363041234567890@g.us" }],
    ["79001234567-1500000000@g.us", null, { groupId: "79001234567-1500000000@g.us" }],
    [` ${chatId} `, null, { chatId }],
    [contactId, null, { contactId }],
  ] as const) {
    assert.deepEqual(recipientOf(text, country), expected, text);
  }
});

test("what is nobody", () => {
  for (const text of [
    "",
    "Anna",
    "12",
    "0@s.whatsapp.net",
    "abc@lid",
    "@g.us",
    "status@broadcast",
    "1@newsletter",
    "cht_1",
    newMessageId(),
    "79007654321@evil.example",
  ]) {
    assert.equal(recipientOf(text, "RU"), undefined, text);
  }
});
