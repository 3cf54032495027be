import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../components/button.tsx";
import { Notice } from "../../components/notice.tsx";
import { enterCode } from "../api.ts";
import { cellsOf, CODE_LENGTH, readCode } from "../code-cells.ts";
import { useLinking } from "./linking.ts";
import { PhoneScreen, type ScreenProps } from "./screen-parts.tsx";
import css from "./phone-app.module.css";

/** Eight cells over one hidden field. */
export function CodeScreen(props: ScreenProps) {
  const { phone, go } = props;
  const { isBusy, error, clear, run } = useLinking(props, "after-finish");
  const [code, setCode] = useState("");
  const input = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => input.current?.focus(), []);
  const isWhole = code.length === CODE_LENGTH;

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (!isWhole || isBusy) return;
    const isLinked = await run(() => enterCode(phone.msisdn, code));
    if (!isLinked) input.current?.select();
  }

  return (
    <PhoneScreen title="Link with phone number" onBack={() => go("devices")}>
      <form class={css.codeForm} onSubmit={(event) => void submit(event)}>
        <p class={css.quiet}>Type the code shown on the pairing page.</p>
        <div class={css.cells}>
          <input
            ref={input}
            aria-label="Code, 8 characters"
            aria-describedby="code-hint"
            value={code}
            autocomplete="off"
            autocapitalize="characters"
            spellcheck={false}
            onInput={(event) => {
              clear();
              const read = readCode(event.currentTarget.value);
              event.currentTarget.value = read;
              setCode(read);
            }}
          />
          <Cells code={code} from={0} />
          <span class={css.dash} aria-hidden="true" />
          <Cells code={code} from={CODE_LENGTH / 2} />
        </div>
        <p id="code-hint" class={css.faint}>
          You can paste all eight at once, with or without the dash.
        </p>
        {error && <Notice tone="error">{error}</Notice>}
        <div class={`${css.choices} ${css.bottom}`}>
          <Button kind="main" size="big" type="submit" disabled={!isWhole} isBusy={isBusy}>
            {isBusy ? "Linking…" : "Link device"}
          </Button>
          <Button kind="bare" onClick={() => go("scan")}>
            Scan a QR code instead
          </Button>
        </div>
      </form>
    </PhoneScreen>
  );
}

/** Half of the cells; the one that the next character goes into is marked. */
function Cells({ code, from }: { code: string; from: number }) {
  const next = Math.min(code.length, CODE_LENGTH - 1);
  return (
    <span class={css.half} aria-hidden="true">
      {cellsOf(code)
        .slice(from, from + CODE_LENGTH / 2)
        .map((character, index) => (
          <i key={index} class={from + index === next ? css.on : undefined}>
            {character}
          </i>
        ))}
    </span>
  );
}
