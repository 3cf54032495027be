import { useState } from "preact/hooks";
import { PhoneApiError, readPhoneState, type PhoneOptions } from "../api.ts";
import type { ScreenProps } from "./screen-parts.tsx";

export type Linking = {
  isBusy: boolean;
  error: string | undefined;
  fail: (text: string) => void;
  clear: () => void;
  /** Links and says so; what the phone shows instead becomes the error. */
  run: (link: () => Promise<{ deviceId: number }>) => Promise<boolean>;
};

/**
 * One try to link. @param passkeyAt when a phone that asks for a passkey does so, this way of linking
 */
export function useLinking(
  { phone, simulator, linked, alert }: ScreenProps,
  passkeyAt: PhoneOptions["passkey"],
): Linking {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<string>();

  function fail(text: string): void {
    setError(text);
    alert(text);
  }

  return {
    isBusy,
    error,
    fail,
    clear: () => setError(undefined),
    run: async (link) => {
      setBusy(true);
      setError(undefined);
      try {
        if (phone.options.passkey !== "off" && phone.options.passkey !== passkeyAt) {
          const options = { ...phone.options, passkey: passkeyAt };
          await simulator.change(phone.msisdn, { options });
        }
        const { deviceId } = await link();
        const { devices } = await readPhoneState(phone.msisdn);
        const name = devices.find(({ id }) => id === deviceId)?.name ?? "A device";
        linked(`${name} is linked.`);
        return true;
      } catch (problem) {
        if (!(problem instanceof PhoneApiError)) throw problem;
        simulator.note(phone.msisdn, `link refused: ${problem.code}`);
        fail(problem.message);
        return false;
      } finally {
        setBusy(false);
      }
    },
  };
}
