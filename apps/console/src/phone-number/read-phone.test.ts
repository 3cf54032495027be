import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { countryById, countryOfDigits, defaultCountry, COUNTRIES } from "./countries.ts";
import { matchCountries, namedCountries } from "./country-names.ts";
import { formatNational, formatPhone } from "./format.ts";
import { phoneToSend, readPhone } from "./read-phone.ts";

const country = (id: string) => {
  const found = countryById(id);
  assert.ok(found, id);
  return found;
};
const sent = (text: string, id?: string) =>
  phoneToSend(readPhone(text, id === undefined ? undefined : country(id)));
const problem = (text: string, id?: string) =>
  readPhone(text, id === undefined ? undefined : country(id)).problem;

describe("a typed number", () => {
  it("is read in every usual form", () => {
    const forms = [
      "900 123-45-67",
      "(900) 123 45 67",
      "+7 900 123 45 67",
      "0079001234567",
      "8 900 123-45-67",
      "79001234567",
      "９００１２３４５６７",
      "٩٠٠١٢٣٤٥٦٧",
      "900\u00a0123\u201145\u201167",
    ];
    for (const form of forms) assert.equal(sent(form, "RU"), "+79001234567", form);
    assert.equal(sent("07700 900123", "GB"), "+447700900123", "the prefix inside the country");
    assert.equal(sent("06 1234 5678", "IT"), "+390612345678", "Italy keeps its zero");
  });

  it("an 8 at the start of a Russian number is said", () => {
    const read = readPhone("89001234567", country("RU"));
    assert.deepEqual(read.remark, { kind: "eight", phone: "+7\u00a0900\u00a0123\u00a045\u00a067" });
  });

  it("an international number changes the country and says so", () => {
    const read = readPhone("+55 11 90000-1234", country("GB"));
    assert.equal(read.country?.id, "BR");
    assert.equal(read.remark?.kind, "countryChanged");
    assert.equal(readPhone("+1 416 555 0123", country("CA")).country?.id, "CA", "a sharer stays");
    assert.equal(readPhone("+7 701 234 56 78", country("RU")).country?.id, "KZ");
  });

  it("what is wrong is named, with how much", () => {
    assert.deepEqual(problem("", "RU"), { kind: "empty" });
    assert.deepEqual(problem("nine hundred", "RU"), { kind: "characters" });
    assert.deepEqual(problem("7+900", "RU"), { kind: "characters" });
    assert.deepEqual(problem("9001234567"), { kind: "country" });
    assert.deepEqual(problem("+999123456789"), { kind: "country" });
    const ru = country("RU");
    assert.deepEqual(problem("900 123-45", "RU"), { kind: "short", n: 2, country: ru });
    assert.deepEqual(problem("900 123-45-678", "RU"), { kind: "long", n: 1, country: ru });
    assert.equal(sent("900", "RU"), undefined);
  });
});

describe("countries", () => {
  it("come from the digits, the main one of a shared code first", () => {
    const of = (digits: string) => countryOfDigits(digits)?.id;
    assert.deepEqual(
      ["79001234567", "77012345678", "12125550123", "18095550123", "447700900123"].map(of),
      ["RU", "KZ", "US", "DO", "GB"],
    );
  });

  it("the first one is of the best hint", () => {
    const hints = { phone: null, country: null, timezone: "UTC", locales: [] as string[] };
    const first = (more: Partial<typeof hints> | { phone: string }) =>
      defaultCountry({ ...hints, ...more })?.id;
    assert.equal(first({ phone: "5511900001234" }), "BR");
    assert.equal(defaultCountry({ ...hints, country: "CL", locales: ["ru-RU"] })?.id, "CL");
    assert.equal(first({ timezone: "America/Santiago" }), "CL");
    assert.equal(first({ locales: ["es", "pt-BR"] }), "BR");
    assert.equal(first({}), undefined, "none is guessed");
  });

  it("are found by name, code and letters", () => {
    const all = namedCountries("ru");
    const ids = (typed: string) => matchCountries(all, typed).map(({ country: { id } }) => id);
    assert.equal(ids("росс")[0], "RU");
    assert.ok(ids("+7").includes("KZ"));
    assert.equal(ids("br")[0], "BR");
    assert.equal(ids("").length, COUNTRIES.length);
    assert.deepEqual(ids("zzzz"), []);
    assert.equal(matchCountries(namedCountries("es"), "peru")[0]?.country.id, "PE");
  });
});

describe("numbers for people", () => {
  it("never break", () => {
    assert.equal(formatPhone("79001234567"), "+7\u00a0900\u00a0123\u00a045\u00a067");
    assert.equal(formatNational("7700900123", country("GB")), "7700 900123");
    assert.equal(formatNational("12345678", country("GB")), "123 456 78");
    assert.equal(formatPhone("0"), "+0");
  });
});
