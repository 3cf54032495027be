import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatPhone, maskEmail, maskPhone, parsePhone } from "./phone.ts";

describe("parsePhone", () => {
  for (const [text, country, expected] of [
    ["79001234567", undefined, "79001234567"],
    ["+7 900 123-45-67", undefined, "79001234567"],
    ["8 (900) 123-45-67", "RU", "79001234567"],
    ["89001234567", undefined, "79001234567"],
    ["9001234567", "RU", "79001234567"],
    ["9001234567", undefined, undefined],
    ["0049 170 1234567", undefined, "491701234567"],
    ["0170 1234567", "DE", "491701234567"],
    ["0170 1234567", undefined, undefined],
    ["11987654321", "BR", "5511987654321"],
    ["5511987654321", "BR", "5511987654321"],
    ["4733221100", "BR", "554733221100"],
    ["+4733221100", "BR", "4733221100"],
    ["79001234567", "BR", "79001234567"],
    ["491701234567", "DE", "491701234567"],
    ["1701234567", "DE", "491701234567"],
    ["55999123456", "BR", "5555999123456"],
    ["12025550123", "US", "12025550123"],
    ["2025550123", "US", "12025550123"],
    ["393331234567", "IT", "393331234567"],
    ["3331234567", "IT", "393331234567"],
    ["84901234567", undefined, "84901234567"],
    ["７９００１２３４５６７", undefined, "79001234567"],
    ["٧٩٠٠١٢٣٤٥٦٧", undefined, "79001234567"],
    ["123", undefined, undefined],
    ["", undefined, undefined],
    ["+", "RU", undefined],
    ["79001234567; drop table", undefined, undefined],
    ["7900123456789012345", undefined, undefined],
    ["+7 900 123 45 67", "XX", "79001234567"],
    ["0".repeat(100_000), undefined, undefined],
  ] as const) {
    it(`${text.slice(0, 30)} ${country ?? ""} → ${expected}`, () => {
      assert.equal(parsePhone(text, country), expected);
    });
  }
});

it("shows people the international form, and others only a mask", () => {
  const phone = parsePhone("79001234567");
  assert.ok(phone);
  assert.equal(formatPhone(phone), "+7 900 123 45 67");
  assert.equal(maskPhone(phone), "7900•••••67");
  assert.equal(maskEmail("owner@salon.example"), "o•••@salon.example");
  assert.equal(maskEmail("nonsense"), "•••");
});
