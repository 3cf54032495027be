import { useState } from "preact/hooks";
import { Button } from "../../components/button.tsx";
import { Notice } from "../../components/notice.tsx";
import { StatusGlyph } from "../../components/status-glyph.tsx";
import { unlink, type LinkedDevice } from "../api.ts";
import { PhoneScreen, type ScreenProps } from "./screen-parts.tsx";
import css from "./phone-app.module.css";

/** What is linked, and the way to link more. */
export function DevicesScreen(props: ScreenProps & { said: string }) {
  const { phone, simulator, go, said } = props;
  const { devices, options } = phone;
  const [leaving, setLeaving] = useState<number>();

  async function logOut(device: LinkedDevice): Promise<void> {
    setLeaving(device.id);
    try {
      await unlink(phone.msisdn, device.id);
      await simulator.refresh(phone.msisdn);
    } finally {
      setLeaving(undefined);
    }
  }

  return (
    <PhoneScreen title="Linked devices">
      {/* Once the device is logged out again the news is none. */}
      {said && devices.length > 0 && <Notice tone="connecting">{said}</Notice>}
      {!phone.online && (
        <Notice tone="disconnected">This phone is offline. It can link nothing now.</Notice>
      )}
      {!phone.exists && <Notice tone="error">This number is not on WhatsApp.</Notice>}
      {phone.pendingCode && (
        <Notice tone="connecting">
          Somebody asks to link this phone with a code. Link a device, then type it.
        </Notice>
      )}
      <Button kind="main" size="big" onClick={() => go(phone.pendingCode ? "code" : "scan")}>
        Link a device
      </Button>
      {devices.length > 0 ? (
        <ul class={css.devices}>
          {devices.map((device) => (
            <li key={device.id}>
              <span>
                <b>{device.name}</b>
                <span class={css.state}>
                  <StatusGlyph state={device.connected ? "connected" : "disconnected"} />
                  {device.connected ? "active now" : "not connected"}, linked{" "}
                  {linkedTime(device.linkedAt)}
                </span>
              </span>
              <Button isBusy={leaving === device.id} onClick={() => void logOut(device)}>
                Log out
              </Button>
            </li>
          ))}
        </ul>
      ) : (
        <p class={css.quiet}>
          Nothing is linked. Open a pairing page and link this phone by its QR or code.
        </p>
      )}
      <p class={css.faint}>
        {devices.length} of {options.maxDevices} places taken.
        {devices.length > 0 &&
          " Logging out here is what a shop owner does when a number says “unlinked on the phone”."}
      </p>
    </PhoneScreen>
  );
}

function linkedTime(iso: string): string {
  const at = new Date(iso);
  const time = at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? `today ${time}` : `${at.toLocaleDateString("en-GB")} ${time}`;
}
