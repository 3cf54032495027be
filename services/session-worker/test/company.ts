/** A company as its own program sees it: over HTTP, with its token. */
import assert from "node:assert/strict";
import { until } from "@manyline/testkit";
import { ADMIN_TOKEN, type Whole } from "./whole.ts";

export type Json = Record<string, unknown>;
export type Answer = { status: number; body: Json };
export const fields = (value: unknown): Json => Object(value) as Json;

const PATIENCE = { deadlineMs: 20_000 };

let serial = 0;

export class Company {
  readonly id: string;
  readonly whole: Whole;
  #token = ADMIN_TOKEN;

  private constructor(whole: Whole) {
    serial += 1;
    this.id = `96230${serial}`;
    this.whole = whole;
  }

  static async make(whole: Whole): Promise<Company> {
    const company = new Company(whole);
    const body = { id: company.id, name: "Salon", country: "RU", adminEmail: "a@example.com" };
    const made = await company.call("POST", "/api/whatsapp/companies", body);
    company.#token = String(fields(made.body["token"])["secret"] ?? made.body["token"]);
    return company;
  }

  get token(): string {
    return this.#token;
  }

  async call(
    method: string,
    path: string,
    body?: object,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const answer = await fetch(`${this.whole.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        "content-type": "application/json",
        ...headers,
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await answer.text();
    return { status: answer.status, body: fields(text === "" ? {} : JSON.parse(text)) };
  }

  session(
    path: string,
    method = "GET",
    body?: object,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    return this.call(method, `/api/whatsapp/sessions/${this.id}/${path}`, body, headers);
  }

  /** A worker claims the shard of a new company within a tick; until then there is nobody to ask. */
  owned(ask: () => Promise<Answer>): Promise<Answer> {
    return until(
      async () => {
        const answer = await ask();
        return answer.status === 503 ? undefined : answer;
      },
      { ...PATIENCE, label: "an owner" },
    );
  }

  wpp(body: object, query = ""): Promise<Answer> {
    return this.session(`wpp${query}`, "POST", body);
  }

  number(numberId: string, method: string, body?: object): Promise<Answer> {
    return this.call(method, `/api/whatsapp/companies/${this.id}/numbers/${numberId}`, body);
  }

  /** Resolves with its id. */
  async addNumber(body: object): Promise<string> {
    const made = await this.call("POST", `/api/whatsapp/companies/${this.id}/numbers`, body);
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return String(fields(made.body["number"])["id"]);
  }

  async numbers(): Promise<Json[]> {
    const { body } = await this.call("GET", `/api/whatsapp/companies/${this.id}/numbers`);
    return body["numbers"] as Json[];
  }

  /** Waits for a status; answers how it is told. */
  reaches(number: unknown, ...statuses: string[]): Promise<Json> {
    return until(
      async () => {
        const { body } = await this.session(`status?number=${String(number)}`);
        return statuses.includes(String(body["status"])) ? body : undefined;
      },
      { ...PATIENCE, label: `${String(number)} ${statuses.join(" or ")}` },
    );
  }

  /** Looks at the page's QR until there is one. */
  qr(number: unknown): Promise<Json> {
    return until(
      async () => {
        const { status, body } = await this.session(`qr?number=${String(number)}`);
        return status === 200 ? body : undefined;
      },
      { ...PATIENCE, label: "a QR" },
    );
  }

  async send(number: unknown, body: object): Promise<string> {
    const sent = await this.session(`messages?number=${String(number)}`, "POST", body);
    assert.equal(sent.status, 202, JSON.stringify(sent.body));
    return String(sent.body["messageId"]);
  }

  becomes(messageId: string, ...statuses: string[]): Promise<Json> {
    return until(
      async () => {
        const { body } = await this.session(`messages/${messageId}`);
        const message = fields(body["message"] ?? body);
        return statuses.includes(String(message["status"])) ? message : undefined;
      },
      { ...PATIENCE, label: `${messageId} ${statuses.join(" or ")}` },
    );
  }

  async messages(number: unknown): Promise<Json[]> {
    const { body } = await this.session(`messages?number=${String(number)}`);
    return body["messages"] as Json[];
  }

  async upload(number: unknown, bytes: Buffer, mimeType: string): Promise<string> {
    const answer = await fetch(
      `${this.whole.url}/api/whatsapp/sessions/${this.id}/media?number=${String(number)}`,
      {
        method: "POST",
        headers: { authorization: `Bearer ${this.#token}`, "content-type": mimeType },
        body: new Uint8Array(bytes),
      },
    );
    assert.equal(answer.status, 201);
    return String(fields(await answer.json())["mediaId"]);
  }

  async download(mediaId: string): Promise<Buffer> {
    const answer = await fetch(
      `${this.whole.url}/api/whatsapp/sessions/${this.id}/media/${mediaId}`,
      { headers: { authorization: `Bearer ${this.#token}` } },
    );
    assert.equal(answer.status, 200);
    return Buffer.from(await answer.arrayBuffer());
  }
}
