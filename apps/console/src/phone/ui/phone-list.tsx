import { useState } from "preact/hooks";
import { Button } from "../../components/button.tsx";
import { formatPhone } from "../../phone-number/format.ts";
import type { Phone } from "../api.ts";
import css from "./phone-list.module.css";

/** More phones than this are found by their number. */
const SHOWN = 30;

/** The phones, and how to take another one in hand. */
export function PhoneList(props: {
  phones: Phone[];
  chosen: string;
  onChoose: (msisdn: string) => void;
}) {
  const [isAdding, setAdding] = useState(false);
  const shown = props.phones.filter(
    ({ msisdn }, index) => index < SHOWN || msisdn === props.chosen,
  );
  const hidden = props.phones.length - shown.length;
  return (
    <aside class={css.side} aria-label="All phones">
      <h2>Phones</h2>
      <nav class={css.list} aria-label="Phones">
        {shown.map((phone) => (
          <button
            key={phone.msisdn}
            type="button"
            aria-current={phone.msisdn === props.chosen ? "true" : undefined}
            onClick={() => props.onChoose(phone.msisdn)}
          >
            {formatPhone(phone.msisdn)}
            <small>{summary(phone)}</small>
          </button>
        ))}
      </nav>
      {hidden > 0 && <p class={css.more}>and {hidden} more; open one by its number</p>}
      {isAdding ? (
        <AddPhone
          onAdd={(msisdn) => {
            setAdding(false);
            props.onChoose(msisdn);
          }}
          onCancel={() => setAdding(false)}
        />
      ) : (
        <Button kind="bare" onClick={() => setAdding(true)}>
          Add a phone
        </Button>
      )}
    </aside>
  );
}

function AddPhone(props: { onAdd: (msisdn: string) => void; onCancel: () => void }) {
  const [error, setError] = useState(false);

  function submit(event: SubmitEvent): void {
    event.preventDefault();
    const typed = new FormData(event.currentTarget as HTMLFormElement).get("msisdn");
    const digits = (typeof typed === "string" ? typed : "").replaceAll(/\D/g, "");
    if (/^[1-9]\d{6,14}$/.test(digits)) props.onAdd(digits);
    else setError(true);
  }

  return (
    <form class={css.add} onSubmit={submit}>
      <label for="msisdn">Phone number</label>
      <input
        id="msisdn"
        name="msisdn"
        inputMode="tel"
        autocomplete="off"
        placeholder="+7 900 123 45 67"
        aria-invalid={error || undefined}
        aria-describedby={error ? "msisdn-error" : undefined}
        ref={(input) => input?.focus()}
      />
      {error && (
        <p id="msisdn-error" class={css.error} role="alert">
          7 to 15 digits, with the country code.
        </p>
      )}
      <div>
        <Button kind="main" type="submit">
          Take it
        </Button>
        <Button kind="bare" onClick={props.onCancel}>
          Cancel
        </Button>
      </div>
    </form>
  );
}

/** The one thing to know about a phone in a list. */
function summary({ name, devices, options, exists, online }: Phone): string {
  const linked =
    devices.length === 0
      ? "nothing linked"
      : `${devices.length} linked device${devices.length === 1 ? "" : "s"}`;
  const states = [
    ...(name ? [name] : []),
    linked,
    ...(exists ? [] : ["not on WhatsApp"]),
    ...(online ? [] : ["offline"]),
    ...(options.passkey === "off" ? [] : ["asks for a passkey"]),
  ];
  return states.join(", ");
}
