import type { ComponentChildren } from "preact";
import type { Phone } from "../api.ts";
import type { ScreenName } from "./phone-app.tsx";
import type { Simulator } from "./use-simulator.ts";
import css from "./phone-app.module.css";

/** What every screen of the phone is given. */
export type ScreenProps = {
  phone: Phone;
  simulator: Simulator;
  go: (name: ScreenName) => void;
  linked: (text: string) => void;
  /** read out at once */
  alert: (text: string) => void;
};

/** A screen of the phone with its title and, below another one, the way back. */
export function PhoneScreen(props: {
  title: string;
  onBack?: () => void;
  children: ComponentChildren;
}) {
  return (
    <>
      <div class={css.bar}>
        {props.onBack && (
          <button type="button" aria-label="Back" onClick={props.onBack}>
            <svg viewBox="0 0 12 20" aria-hidden="true">
              <path d="M10 2L2 10L10 18" />
            </svg>
          </button>
        )}
        <h1>{props.title}</h1>
      </div>
      <div class={css.inside}>{props.children}</div>
    </>
  );
}
