import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../components/button.tsx";
import { CountryPicker } from "../../components/country-picker.tsx";
import { StatusGlyph } from "../../components/status-glyph.tsx";
import { countryName } from "../../phone-number/country-names.ts";
import { phoneToSend, readPhone, type ReadPhone } from "../../phone-number/read-phone.ts";
import type { Catalogue } from "../../strings/catalogue.ts";
import { isRequestSlow } from "../screen.ts";
import { CODE_SECONDS } from "./code-seconds.ts";
import type { PhoneDraft } from "./draft.ts";
import { settled, typed } from "./edit-draft.ts";
import type { View } from "./view.ts";
import css from "./phone-form.module.css";

/** The number, and the button that asks WhatsApp for a code for it. Loaded apart: `PhoneForm` of lazy-phone-form.tsx. */
export function PhoneForm({ view }: { view: View }) {
  const { state, screen, words, draft, setDraft, dispatch } = view;
  const { t } = words;
  const isLocked = screen === "requesting";
  const input = useRef<HTMLInputElement>(null);
  const read = readPhone(draft.text, draft.country);
  const error = errorText(view, read);
  const [sentErrors, setSentErrors] = useState(0);

  useEffect(() => {
    // The number that WhatsApp does not know is kept, ready to be typed over.
    if (screen === "not-on-whatsapp") input.current?.select();
  }, [screen]);
  useEffect(() => {
    if (error) view.alert(error);
  }, [error, sentErrors]);

  function send(event: SubmitEvent): void {
    event.preventDefault();
    if (isLocked) return;
    const phone = phoneToSend(read);
    if (phone === undefined) {
      setDraft({ ...draft, isChecked: true });
      setSentErrors(sentErrors + 1);
      document.getElementById(read.problem?.kind === "country" ? "country" : "phone")?.focus();
      return;
    }
    setDraft(settled(draft));
    dispatch({ type: "ask-code", phone });
  }

  return (
    <form class={css.form} onSubmit={send} noValidate>
      <div class={css.fields}>
        <div class={css.field}>
          <label for="country">{t("code.countryLabel")}</label>
          <CountryPicker
            id="country"
            language={words.language}
            chosen={draft.country}
            searchHint={t("code.countrySearch")}
            nothingFound={t("code.countryNone")}
            isLocked={isLocked}
            onChoose={(country) => {
              setDraft({ ...draft, country, remark: undefined, isGuess: false });
              dispatch({ type: "edit-phone" });
              input.current?.focus();
            }}
          />
        </div>
        <div class={css.field}>
          <label for="phone">{t("code.phoneLabel")}</label>
          <input
            ref={input}
            id="phone"
            class={`${css.input} ${error ? css.bad : ""}`}
            data-focus=""
            type="tel"
            inputMode="tel"
            autocomplete="tel-national"
            value={draft.text}
            readOnly={isLocked}
            aria-invalid={error ? true : undefined}
            aria-describedby="phone-help"
            onInput={(event) => {
              setDraft(typed(draft, event.currentTarget.value));
              if (state.fieldError) dispatch({ type: "edit-phone" });
            }}
            onBlur={() => setDraft(settled(draft))}
            onPaste={(event) => {
              const field = event.currentTarget;
              requestAnimationFrame(() => setDraft(settled(typed(draft, field.value))));
            }}
          />
        </div>
      </div>
      <div id="phone-help" class={css.help}>
        {error ? (
          <p class={css.error}>
            <StatusGlyph state="error" />
            {error}
          </p>
        ) : (
          <p>{remarkText(draft, words) ?? t("code.phoneHint")}</p>
        )}
      </div>
      <p class={css.ready}>{readyText(view)}</p>
      <div class={css.go}>
        <Button kind="main" size="big" type="submit" isBusy={isLocked}>
          {isLocked ? t("code.requesting") : t("code.get")}
        </Button>
      </div>
    </form>
  );
}

/** While it is waited for, the same place says why. */
function readyText({ state, screen, words: { t } }: View): string {
  if (screen === "requesting" && state.request?.isJoined) return t("code.inProgress");
  if (screen === "requesting" && isRequestSlow(state)) return t("code.requestingSlow");
  return t("code.ready", { n: CODE_SECONDS });
}

function errorText({ state, draft, words }: View, read: ReadPhone): string | undefined {
  const { t, language } = words;
  if (state.fieldError === "alreadyLinked") return t("phoneError.alreadyLinked");
  if (state.fieldError === "empty") return t("phoneError.empty");
  if (state.fieldError === "invalid") {
    const country = draft.country ? countryName(draft.country, language) : "";
    return t("phoneError.invalid", { country });
  }
  const { problem } = read;
  if (!draft.isChecked || !problem) return undefined;
  if (problem.kind === "short" || problem.kind === "long") {
    const country = countryName(problem.country, language);
    return t(`phoneError.${problem.kind}`, { n: problem.n, country });
  }
  return t(`phoneError.${problem.kind}`);
}

function remarkText({ remark }: PhoneDraft, { t, language }: Catalogue): string | undefined {
  if (!remark) return undefined;
  if (remark.kind === "eight") return t("phoneError.eight", { phone: remark.phone });
  const { country } = remark;
  return t("phoneError.countryChanged", {
    code: country.code,
    country: countryName(country, language),
  });
}
