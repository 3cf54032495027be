/** What tests of WPP numbers share: both servers, and what the gateway asks of a number's owner. */
import assert from "node:assert/strict";
import { newNumberId, newWppSubOrgId, type WppPlatform } from "@manyline/contracts";
import {
  type CommandRow,
  type CompanyRow,
  createNumber,
  inTransaction,
  type NumberRow,
} from "@manyline/db";
import {
  startWppConnect,
  startWppPlatform,
  type WppConnectSimulator,
  type WppPlatformSimulator,
} from "@manyline/simulators/wpp";
import { until } from "@manyline/testkit";
import { openRoom, type Room } from "./room.ts";

export type WppResult = { session: string; apiKey: string; status: string; error?: string };

export class WppRoom implements AsyncDisposable {
  readonly room: Room;
  readonly wpp: WppPlatformSimulator;
  readonly connect: WppConnectSimulator;

  private constructor(room: Room, wpp: WppPlatformSimulator, connect: WppConnectSimulator) {
    this.room = room;
    this.wpp = wpp;
    this.connect = connect;
  }

  static async open(more: Record<string, string> = {}): Promise<WppRoom> {
    const [wpp, connect] = [await startWppPlatform(), await startWppConnect()];
    const room = await openRoom({
      env: {
        WPP_BASE_URL: wpp.url,
        WPP_SECRET: wpp.options.secret,
        WPPCONNECT_URL: connect.url,
        WPPCONNECT_SECRET: connect.options.secret,
        WPP_WEBHOOK_URL: "http://127.0.0.1:9/",
        PUBLIC_URL: "http://files.test",
        ...more,
      },
    });
    return new WppRoom(room, wpp, connect);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.room.close();
    await this.wpp.close();
    await this.connect.close();
  }

  addNumber(
    { companyNo }: Pick<CompanyRow, "companyNo">,
    wppServer: WppPlatform = "wpp_platform",
  ): Promise<NumberRow> {
    return inTransaction(this.room.platform, (tx) =>
      createNumber(tx, companyNo, {
        numberId: newNumberId(),
        provider: "wpp",
        phone: null,
        name: "WhatsApp (WPP)",
        wppServer,
        maxNumbers: 500,
      }),
    );
  }

  open(
    company: CompanyRow,
    number: NumberRow,
    branch: "reconnect" | "add" | "recreate",
    replaces: string | null = null,
  ): Promise<CommandRow> {
    const subOrgId = newWppSubOrgId(company.companyId);
    return this.room.command(number, "open_wpp", { branch, subOrgId, replaces });
  }

  /** A number that is connected, and its session. */
  async connected(server: WppPlatform = "wpp_platform"): Promise<{
    company: CompanyRow;
    number: NumberRow;
    session: string;
  }> {
    const company = await this.room.company();
    const number = await this.addNumber(company, server);
    const { session } = resultOf(await this.open(company, number, "reconnect"));
    await this.scan(session);
    await until(this.is(number, "connected"));
    return { company, number, session };
  }

  is(number: NumberRow, status: string): () => Promise<boolean> {
    return async () => (await this.room.status(number)).number.status === status;
  }

  async scan(session: string): Promise<void> {
    const phone = `79${session
      .replaceAll(/[^0-9]/g, "")
      .padStart(9, "1")
      .slice(-9)}`;
    if (this.connect.world.sessions.has(session)) {
      await until(() => this.connect.world.session(session).status === "QRCODE");
      this.connect.link(session, phone);
    } else {
      await until(() => this.wpp.world.bySession(session).state === "qr");
      this.wpp.scan(session, phone);
    }
  }
}

export function resultOf({ state, result, error }: CommandRow): WppResult {
  assert.equal(state, "done", JSON.stringify(error));
  return result as WppResult;
}
