/** Every state of the pairing page: what the gateway must be like, and what happens, until it is shown. */
import type { Page } from "playwright-core";
import type { Attempt, StatusAnswer } from "@manyline/contracts";
import type { Screen } from "../src/pairing/screen.ts";
import { CUT, problem, statusAnswer, type FakeGateway } from "./fake-gateway.ts";

export const PHONE = "447700900123";
export const CODE = "K7WM-3XQP";
/** As long as a real one: 295 characters. */
export const QR_TEXT =
  `2@${"aB3dE5gH7jK9mN1p".repeat(7)}==,${"qR2sT4uV6wX8yZ0c".repeat(3)}=,${"Mn5bV3cX1zL8kJ6h".repeat(3)}=,${"Pq9wE7rT5yU3iO1a".repeat(4)}=,1`.slice(
    0,
    295,
  );

export const ATTEMPT_ID = `pai_${"0".repeat(31)}1`;

export type Scene = {
  name: string;
  screen: Screen;
  /** before the page is opened */
  prepare?: (gateway: FakeGateway) => void;
  /** after it has loaded */
  act?: (page: Page, gateway: FakeGateway) => Promise<void> | void;
  /** opened without the token */
  isBare?: boolean;
};

export function fromNow(seconds: number): string {
  return new Date(Date.now() + seconds * 1_000).toISOString();
}

export function attempt(changes: Partial<Attempt> = {}): Attempt {
  return {
    id: ATTEMPT_ID,
    method: "qr",
    state: "qr",
    outcome: null,
    errorCode: null,
    k: 1,
    max: 3,
    switched: false,
    startedAt: fromNow(-18),
    issuedAt: fromNow(-18),
    expiresAt: fromNow(42),
    phone: null,
    codesLeft: 5,
    blockedUntil: null,
    qr: QR_TEXT,
    ...changes,
  };
}

export function pairing(changes: Partial<Attempt> = {}): StatusAnswer {
  return statusAnswer({ status: "connecting", reason: "pairing", attempt: attempt(changes) });
}

export function codeAttempt(left: number, changes: Partial<Attempt> = {}): Partial<Attempt> {
  const issuedAt = fromNow(left - 60);
  const expiresAt = fromNow(left);
  const base = { method: "code", state: "code", k: 0, phone: PHONE, code: CODE } as const;
  return { ...base, issuedAt, expiresAt, codesLeft: 3, ...changes };
}

export function linked(changes: Partial<StatusAnswer> = {}): StatusAnswer {
  const number = { ...statusAnswer().number, phone: PHONE } as StatusAnswer["number"];
  const since = "2026-10-03T09:12:00.000Z";
  return statusAnswer({ status: "connected", reason: "open", since, number, ...changes });
}

const session = {
  previousStatus: null,
  provider: "linked",
  phone: PHONE,
  nextAction: "none",
} as const;

async function askForCode(page: Page): Promise<void> {
  await page.getByRole("tab").last().click();
  await page.locator("form button[type=submit]").click();
}

const set = (status: () => StatusAnswer) => (gateway: FakeGateway) => {
  gateway.status = status();
};

export const SCENES: Scene[] = [
  {
    name: "link-invalid",
    screen: "link-invalid",
    prepare: (gateway) => gateway.reply("link-exchange", problem(401, "LINK_INVALID")),
  },
  {
    name: "link-missing",
    screen: "link-missing",
    isBare: true,
    prepare: (gateway) => gateway.reply("status", problem(401, "UNAUTHORIZED")),
  },
  {
    name: "link-ended",
    screen: "link-ended",
    act: (_page, gateway) => {
      gateway.reply("status", problem(401, "UNAUTHORIZED"));
      gateway.emit("ended", { reason: "expired" });
    },
  },
  {
    name: "loading",
    screen: "loading",
    prepare: (gateway) => gateway.reply("status", () => new Promise(() => {})),
  },
  { name: "qr-preparing", screen: "qr-preparing" },
  { name: "qr", screen: "qr", prepare: set(() => pairing()) },
  {
    name: "qr-last",
    screen: "qr-last",
    prepare: set(() => pairing({ k: 3, issuedAt: fromNow(-12), expiresAt: fromNow(8) })),
  },
  {
    name: "qr-ask",
    screen: "qr-ask",
    prepare: set(() => pairing()),
    act: (_page, gateway) => {
      gateway.emit("pairing.abandoned", { attemptId: ATTEMPT_ID, reason: "unwatched" });
    },
  },
  {
    name: "switching",
    screen: "switching",
    prepare: set(() => pairing({ k: 3 })),
    act: (_page, gateway) => {
      gateway.emit("pairing.qr_exhausted", { attemptId: ATTEMPT_ID, k: 3, switchedTo: "code" });
    },
  },
  {
    name: "switched",
    screen: "switched",
    prepare: set(() => pairing({ ...codeAttempt(52), switched: true })),
  },
  {
    name: "phone-missing",
    screen: "phone-missing",
    prepare: (gateway) => {
      const status = pairing({ k: 3 });
      gateway.status = { ...status, company: { ...status.company, phone: null } };
    },
    act: (_page, gateway) => {
      gateway.emit("company.phone_missing", { numberId: "num_1" });
    },
  },
  { name: "entry", screen: "entry", act: (page) => page.getByRole("tab").last().click() },
  {
    name: "entry-error",
    screen: "entry-error",
    prepare: (gateway) => gateway.reply("pairing-code", problem(400, "INVALID_PHONE_FORMAT")),
    act: askForCode,
  },
  {
    name: "entry-linked",
    screen: "entry-error",
    prepare: (gateway) => gateway.reply("pairing-code", problem(409, "PHONE_ALREADY_LINKED")),
    act: askForCode,
  },
  {
    name: "requesting",
    screen: "requesting",
    prepare: (gateway) => gateway.reply("pairing-code", () => new Promise(() => {})),
    act: askForCode,
  },
  { name: "code", screen: "code", prepare: set(() => pairing(codeAttempt(47))) },
  { name: "code-ending", screen: "code-ending", prepare: set(() => pairing(codeAttempt(8))) },
  {
    name: "expired",
    screen: "expired",
    prepare: set(() => pairing(codeAttempt(-1, { state: "code_expired" }))),
  },
  {
    name: "wait",
    screen: "wait",
    prepare: (gateway) => {
      const until = fromNow(23 * 60 + 41);
      gateway.reply("pairing-code", problem(429, "RATE_LIMITED", { until, retryAfter: 1_421 }));
    },
    act: askForCode,
  },
  {
    name: "whatsapp-wait",
    screen: "whatsapp-wait",
    prepare: (gateway) => gateway.reply("pairing-code", problem(502, "WHATSAPP_REFUSED")),
    act: askForCode,
  },
  {
    name: "passkey",
    screen: "passkey",
    prepare: set(() => pairing(codeAttempt(30))),
    act: (_page, gateway) => {
      gateway.emit("pairing.passkey_required", {
        attemptId: ATTEMPT_ID,
        expiresAt: fromNow(60),
        options: {},
      });
    },
  },
  {
    name: "not-on-whatsapp",
    screen: "not-on-whatsapp",
    prepare: (gateway) => gateway.reply("pairing-code", problem(422, "PHONE_NOT_ON_WHATSAPP")),
    act: askForCode,
  },
  {
    name: "failed",
    screen: "failed",
    prepare: (gateway) => gateway.reply("pairing-code", problem(502, "PAIRING_CODE_FAILED")),
    act: askForCode,
  },
  {
    name: "failed-qr",
    screen: "failed",
    prepare: set(() => pairing()),
    act: (_page, gateway) => {
      gateway.emit("pairing.failed", { attemptId: ATTEMPT_ID, code: "INTERNAL" });
    },
  },
  {
    name: "refused",
    screen: "refused",
    prepare: (gateway) => gateway.reply("reconnect", problem(501, "PROVIDER_NOT_SUPPORTED")),
  },
  {
    name: "switched-off",
    screen: "refused",
    prepare: set(() => statusAnswer({ reason: "switched_off" })),
  },
  {
    name: "unreachable",
    screen: "unreachable",
    prepare: (gateway) => gateway.reply("status", CUT),
  },
  {
    name: "unreachable-starting",
    screen: "unreachable",
    prepare: set(() => statusAnswer({ reason: "no_owner" })),
  },
  {
    name: "linking",
    screen: "linking",
    prepare: set(() => pairing(codeAttempt(30))),
    act: (_page, gateway) => {
      gateway.emit("pairing.linking", { attemptId: ATTEMPT_ID });
    },
  },
  {
    name: "connected",
    screen: "connected",
    prepare: (gateway) => {
      const status = pairing(codeAttempt(30));
      const company = { ...status.company, returnUrl: "https://aurora.example/done" };
      gateway.status = { ...status, company };
    },
    act: (_page, gateway) => {
      gateway.emit("pairing.succeeded", {
        attemptId: ATTEMPT_ID,
        method: "code",
        phone: PHONE,
        otherPhone: true,
      });
      gateway.emit("session.connected", {
        ...session,
        status: "connected",
        reason: "open",
        since: fromNow(0),
      });
    },
  },
  { name: "already", screen: "already", prepare: set(() => linked()) },
  {
    name: "already-restricted",
    screen: "already",
    prepare: set(() => linked({ until: fromNow(7_200) })),
  },
  {
    name: "unlink",
    screen: "already",
    prepare: set(() => linked()),
    act: (page) => page.locator("main button").nth(1).click(),
  },
  {
    name: "unlinked",
    screen: "qr-ask",
    prepare: set(() => linked()),
    act: (_page, gateway) => {
      gateway.emit("session.disconnected", {
        ...session,
        status: "disconnected",
        reason: "unlinked",
        since: fromNow(0),
      });
    },
  },
  {
    name: "down",
    screen: "down",
    prepare: set(() =>
      linked({ status: "connecting", reason: "reconnecting", since: fromNow(-130) }),
    ),
  },
  {
    name: "down-locked",
    screen: "down",
    prepare: set(() => linked({ status: "error", reason: "locked", since: fromNow(-130) })),
  },
  {
    name: "logged-out",
    screen: "qr-preparing",
    prepare: set(() => statusAnswer({ reason: "logged_out", since: fromNow(-7_300) })),
  },
];

/** Opens the page and brings it into a scene. */
export async function enact(
  page: Page,
  gateway: FakeGateway,
  scene: Scene,
  query: Record<string, string> = {},
): Promise<void> {
  scene.prepare?.(gateway);
  const url = new URL(gateway.link);
  if (scene.isBare) url.hash = "";
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  await page.goto(url.href);
  if (scene.act) {
    // Events reach only a page that listens.
    if (!scene.isBare) await page.waitForFunction(() => document.querySelector("main h1"));
    await waitFor(() => gateway.streamCount > 0 || !needsStream(scene));
    await page.waitForSelector('main[data-screen]:not([data-screen="loading"])');
    await scene.act(page, gateway);
  }
  await page.waitForSelector(`main[data-screen="${scene.screen}"]`, { timeout: 8_000 });
}

function needsStream(scene: Scene): boolean {
  return scene.name !== "loading" && scene.name !== "unreachable";
}

export async function waitFor(condition: () => boolean, ms = 5_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error("the condition was not met in time");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
