import { useState } from "preact/hooks";
import { Button } from "../../components/button.tsx";
import { formatPhone } from "../../phone-number/format.ts";
import { PhoneScreen, type ScreenProps } from "./screen-parts.tsx";
import css from "./phone-app.module.css";

/** Whose phone it is, and how it is. */
export function ThisPhoneScreen({ phone, simulator }: ScreenProps) {
  const [name, setName] = useState(phone.name);
  const isChanged = name.trim() !== phone.name;

  function save(event: SubmitEvent): void {
    event.preventDefault();
    void simulator.change(phone.msisdn, { name: name.trim() });
  }

  return (
    <PhoneScreen title="This phone">
      <dl class={css.facts}>
        <dt>Number</dt>
        <dd>{formatPhone(phone.msisdn)}</dd>
      </dl>
      <form class={css.name} onSubmit={save}>
        <label for="name">Name shown to others</label>
        <div>
          <input
            id="name"
            value={name}
            autocomplete="off"
            onInput={(event) => setName(event.currentTarget.value)}
          />
          <Button type="submit" disabled={!isChanged}>
            Save
          </Button>
        </div>
      </form>
      <Switch
        label="Connected to the internet"
        isOn={phone.online}
        onSwitch={(online) => void simulator.change(phone.msisdn, { online })}
      />
      <Switch
        label="On WhatsApp"
        isOn={phone.exists}
        onSwitch={(exists) => void simulator.change(phone.msisdn, { exists })}
      />
      <Switch
        label="Asks for a passkey when a device is linked"
        isOn={phone.options.passkey !== "off"}
        onSwitch={(isOn) => {
          const options = { ...phone.options, passkey: isOn ? "on-scan" : "off" } as const;
          void simulator.change(phone.msisdn, { options });
        }}
      />
    </PhoneScreen>
  );
}

function Switch(props: { label: string; isOn: boolean; onSwitch: (isOn: boolean) => void }) {
  return (
    <label class={css.switch}>
      <input
        type="checkbox"
        role="switch"
        checked={props.isOn}
        onChange={(event) => props.onSwitch(event.currentTarget.checked)}
      />
      {props.label}
    </label>
  );
}
