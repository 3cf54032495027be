import { CANNOT, CAPABILITIES, type Capability, ENGINES } from "@manyline/contracts/capabilities";
import type { Language } from "../strings/language.ts";
import css from "./capabilities-page.module.css";
import { LANGUAGE_CODES, nameOf, type Words } from "./words.ts";

/** The table by which the gateway refuses, for people. @param onLanguage loads another language and renders again */
export function CapabilitiesPage(props: {
  language: Language;
  words: Words;
  onLanguage: (language: Language) => void;
}) {
  const { language, words, onLanguage } = props;
  return (
    <div class={css.page}>
      <header class={css.bar}>
        <b>Manyline</b>
        <select
          class={css.language}
          aria-label={words["page.language"]}
          value={language}
          onChange={({ currentTarget: { value } }) => {
            const chosen = LANGUAGE_CODES.find((code) => code === value);
            if (chosen !== undefined) onLanguage(chosen);
          }}
        >
          {LANGUAGE_CODES.map((code) => (
            <option key={code} value={code} lang={code}>
              {nameOf(code)}
            </option>
          ))}
        </select>
      </header>
      <main>
        <h1>{words["page.title"]}</h1>
        <p class={css.lead}>{words["page.lead"]}</p>
        <table class={css.table}>
          <thead>
            <tr>
              <th scope="col">{words["page.capability"]}</th>
              {ENGINES.map((engine) => (
                <th key={engine} scope="col">
                  {words[`engine.${engine}`]}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {CAPABILITIES.map((capability) => (
              <Row key={capability} capability={capability} words={words} />
            ))}
          </tbody>
        </table>
      </main>
    </div>
  );
}

function Row({ capability, words }: { capability: Capability; words: Words }) {
  return (
    <tr data-capability={capability}>
      <th scope="row">{words[`what.${capability}`]}</th>
      {ENGINES.map((engine) => {
        const reason = CANNOT[engine][capability];
        return (
          <td key={engine} data-engine={engine} data-can={String(reason === undefined)}>
            {/* On a narrow screen the heads of the columns are gone. */}
            <span class={css.engine}>{words[`engine.${engine}`]}: </span>
            {reason === undefined ? (
              words["page.yes"]
            ) : (
              <span class={css.no}>
                <b>{words["page.no"]}</b> {words[`reason.${reason}`]}
              </span>
            )}
          </td>
        );
      })}
    </tr>
  );
}
