import { useCallback, useEffect, useState } from "preact/hooks";
import { changePhone, listPhones, readPhoneState, type Phone } from "../api.ts";
import { describeEvent, listen, phoneOfEvent } from "../events.ts";

/** The phone a person finds in hand on the first visit. */
export const FIRST_PHONE = "79001234567";
const LOG_LENGTH = 40;

export type LogLine = { at: Date; msisdn: string; text: string };

export type Simulator = {
  phones: Phone[];
  log: LogLine[];
  isLive: boolean;
  /** why nothing can be shown */
  error: string | undefined;
  /** asks for a phone anew */
  refresh: (msisdn: string) => Promise<void>;
  /** makes a phone, or changes one */
  change: (...parameters: Parameters<typeof changePhone>) => Promise<void>;
  note: (msisdn: string, text: string) => void;
};

/** The simulator's phones, kept up to date. @param chosen made if it is not there */
export function useSimulator(chosen: string): Simulator {
  const [phones, setPhones] = useState<Phone[]>([]);
  const [log, setLog] = useState<LogLine[]>([]);
  const [isLive, setLive] = useState(true);
  const [error, setError] = useState<string>();

  const put = useCallback((phone: Phone) => {
    setPhones((known) => {
      const isKnown = known.some(({ msisdn }) => msisdn === phone.msisdn);
      if (!isKnown) return [...known, phone];
      return known.map((each) => (each.msisdn === phone.msisdn ? phone : each));
    });
  }, []);
  const note = useCallback((msisdn: string, text: string) => {
    setLog((lines) => [...lines.slice(1 - LOG_LENGTH), { at: new Date(), msisdn, text }]);
  }, []);
  const refresh = useCallback(
    async (msisdn: string) => {
      try {
        put(await readPhoneState(msisdn));
        setError(undefined);
      } catch (problem) {
        setError(problem instanceof Error ? problem.message : String(problem));
      }
    },
    [put],
  );
  const change = useCallback(
    async (...parameters: Parameters<typeof changePhone>) => put(await changePhone(...parameters)),
    [put],
  );

  useEffect(() => {
    // A stream that comes back has missed something.
    async function loadAll(): Promise<void> {
      try {
        const found = await listPhones();
        setPhones(found);
        if (!found.some(({ msisdn }) => msisdn === chosen)) await change(chosen, {});
        setError(undefined);
      } catch (problem) {
        setError(problem instanceof Error ? problem.message : String(problem));
      }
    }
    void loadAll();
    return listen({
      onLive: (nowLive) => {
        setLive(nowLive);
        if (nowLive) void loadAll();
      },
      onEvent: (event) => {
        const msisdn = phoneOfEvent(event);
        if (msisdn === undefined) return;
        const text = describeEvent(event);
        if (text) note(msisdn, text);
        if (event.type === "phone-changed") put(event.phone);
        else void refresh(msisdn);
      },
    });
  }, [chosen, change, note, put, refresh]);

  return { phones, log, isLive, error, refresh, change, note };
}
