import { useState } from "preact/hooks";
import { Button } from "../../components/button.tsx";
import { causeFault, clearFaults, unlink, type Phone } from "../api.ts";
import type { Simulator } from "./use-simulator.ts";
import css from "./side.module.css";

type Trouble = { label: string; cause: (phone: Phone) => Promise<string> };

/** What can happen to a phone or its devices, each in one click. */
const TROUBLES: Trouble[] = [
  {
    label: "Unlink all devices",
    cause: async ({ msisdn }) => `${(await unlink(msisdn)).unlinked} logged out`,
  },
  {
    label: "Drop the connection",
    cause: ({ msisdn }) => hit("drop", { kind: "drop", phone: msisdn }),
  },
  {
    label: "Another program takes over",
    cause: ({ msisdn }) => hit("replaced", { kind: "replaced", phone: msisdn }),
  },
  {
    label: "Lock the account",
    cause: async ({ msisdn }) => {
      await causeFault({ kind: "login-failure", phone: msisdn, args: { reason: 403 } });
      return hit("locked at the next login", { kind: "drop", phone: msisdn });
    },
  },
  {
    label: "Retire the QR on screen",
    cause: () => hit("QR retired", { kind: "companion-refresh" }),
  },
  {
    label: "End all trouble",
    cause: async () => {
      await clearFaults();
      return "no standing faults";
    },
  },
];

async function hit(text: string, fault: Parameters<typeof causeFault>[0]): Promise<string> {
  const { affected } = await causeFault(fault);
  return `${text}: ${affected} connection${affected === 1 ? "" : "s"}`;
}

/** Beside the phone: what it saw, and faults. */
export function Side({ phone, simulator }: { phone: Phone; simulator: Simulator }) {
  const [result, setResult] = useState("");
  const lines = simulator.log.filter(({ msisdn }) => msisdn === phone.msisdn).slice(-12);

  async function cause(trouble: Trouble): Promise<void> {
    try {
      const text = await trouble.cause(phone);
      setResult(text);
      simulator.note(phone.msisdn, text);
    } catch (problem) {
      setResult(problem instanceof Error ? problem.message : String(problem));
    }
  }

  return (
    <aside class={css.side} aria-label="What happens">
      <section>
        <h2>What this phone saw</h2>
        {lines.length === 0 && <p class={css.faint}>Nothing yet.</p>}
        <ol class={css.log}>
          {lines.map(({ at, text }, index) => (
            <li key={index}>
              <time>{at.toLocaleTimeString("en-GB")}</time> {text}
            </li>
          ))}
        </ol>
      </section>
      <section>
        <h2>Make something go wrong</h2>
        <div class={css.faults}>
          {TROUBLES.map((trouble) => (
            <Button key={trouble.label} onClick={() => void cause(trouble)}>
              {trouble.label}
            </Button>
          ))}
        </div>
        <p class={css.result} role="status">
          {result}
        </p>
      </section>
      <p class={css.faint}>
        Everything here is also in the control API of the simulator, for tests.
      </p>
    </aside>
  );
}
