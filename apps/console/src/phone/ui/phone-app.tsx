import { useState } from "preact/hooks";
import { LiveRegions } from "../../components/hidden.tsx";
import { Mark } from "../../components/mark.tsx";
import { Notice } from "../../components/notice.tsx";
import { CodeScreen } from "./code-screen.tsx";
import { DevicesScreen } from "./devices-screen.tsx";
import { PhoneList } from "./phone-list.tsx";
import { ScanScreen } from "./scan-screen.tsx";
import { Side } from "./side.tsx";
import { ThisPhoneScreen } from "./this-phone-screen.tsx";
import { FIRST_PHONE, useSimulator } from "./use-simulator.ts";
import css from "./phone-app.module.css";

export type ScreenName = "devices" | "scan" | "code" | "me";

/** A simulated phone a person can use: whose, what it shows, and what can go wrong with it. */
export function PhoneApp() {
  const [chosen, setChosen] = useState(phoneOfAddress);
  const [screen, setScreen] = useState<ScreenName>("devices");
  const [said, setSaid] = useState("");
  const [alerted, setAlerted] = useState("");
  const simulator = useSimulator(chosen);
  const phone = simulator.phones.find(({ msisdn }) => msisdn === chosen);

  function choose(msisdn: string): void {
    setChosen(msisdn);
    setScreen("devices");
    setSaid("");
    const url = new URL(location.href);
    url.searchParams.set("phone", msisdn);
    history.replaceState(null, "", url.pathname + url.search);
  }

  const parts = {
    go: (name: ScreenName) => {
      setScreen(name);
      setSaid("");
    },
    /** Linked: back to the list, which says so. */
    linked: (text: string) => {
      setScreen("devices");
      setSaid(text);
    },
    alert: setAlerted,
    simulator,
  };
  return (
    <div class={css.layout}>
      <header class={css.head}>
        <Mark />
        <span class={css.tag}>simulated phone, no real WhatsApp</span>
        {!simulator.isLive && <span class={css.stale}>Not live, trying again</span>}
      </header>
      <PhoneList phones={simulator.phones} chosen={chosen} onChoose={choose} />
      <main class={css.phone} aria-label="Phone" data-screen={screen}>
        <div class={css.glass}>
          {simulator.error && (
            <div class={css.banner}>
              <Notice tone="error">{simulator.error}</Notice>
            </div>
          )}
          {phone && screen === "devices" && <DevicesScreen {...parts} phone={phone} said={said} />}
          {phone && screen === "scan" && <ScanScreen {...parts} phone={phone} />}
          {phone && screen === "code" && <CodeScreen {...parts} phone={phone} />}
          {phone && screen === "me" && <ThisPhoneScreen {...parts} phone={phone} />}
          {!phone && <div class={css.empty} />}
          <nav class={css.tabs} aria-label="Phone">
            <Tab isHere={screen !== "me"} onGo={() => parts.go("devices")}>
              Linked devices
            </Tab>
            <Tab isHere={screen === "me"} onGo={() => parts.go("me")}>
              This phone
            </Tab>
          </nav>
        </div>
        <div class={css.home} />
      </main>
      {phone && <Side phone={phone} simulator={simulator} />}
      <LiveRegions polite={said} alert={alerted} />
    </div>
  );
}

function Tab(props: { isHere: boolean; onGo: () => void; children: string }) {
  return (
    <button type="button" aria-current={props.isHere ? "page" : undefined} onClick={props.onGo}>
      {props.children}
    </button>
  );
}

/** `?phone=79001234567`, else the first one. */
function phoneOfAddress(): string {
  const digits = new URL(location.href).searchParams.get("phone")?.replaceAll(/\D/g, "") ?? "";
  return /^[1-9]\d{6,14}$/.test(digits) ? digits : FIRST_PHONE;
}
