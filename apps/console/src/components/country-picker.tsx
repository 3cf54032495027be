import { useId, useMemo, useRef, useState } from "preact/hooks";
import type { Country } from "../phone-number/countries.ts";
import { matchCountries, namedCountries } from "../phone-number/country-names.ts";
import css from "./country-picker.module.css";

/** A list of countries with a field to search it by name or calling code. */
export function CountryPicker(props: {
  id: string;
  language: string;
  chosen: Country | undefined;
  searchHint: string;
  nothingFound: string;
  isLocked: boolean;
  onChoose: (country: Country) => void;
}) {
  const { chosen, language } = props;
  const [typed, setTyped] = useState<string>();
  const [active, setActive] = useState(0);
  const listId = useId();
  const list = useRef<HTMLUListElement>(null);
  const all = useMemo(() => namedCountries(language), [language]);
  const isOpen = typed !== undefined;
  const found = useMemo(() => matchCountries(all, typed ?? ""), [all, typed]);
  const own = all.find(({ country }) => country === chosen);
  const label = own ? `+${own.country.code} ${own.name}` : "";

  function open(text: string): void {
    const at = text === "" ? found.findIndex(({ country }) => country === chosen) : 0;
    setTyped(text);
    show(Math.max(0, at));
  }

  function show(index: number): void {
    setActive(index);
    requestAnimationFrame(() => {
      list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
    });
  }

  function choose(index: number): void {
    const country = found[index]?.country;
    setTyped(undefined);
    if (country) props.onChoose(country);
  }

  function onKeyDown(event: KeyboardEvent): void {
    const moves: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };
    const move = moves[event.key];
    if (move !== undefined) {
      event.preventDefault();
      if (isOpen) show(Math.min(found.length - 1, Math.max(0, active + move)));
      else open("");
    } else if (event.key === "Enter" && isOpen) {
      event.preventDefault();
      choose(active);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      setTyped(undefined);
    }
  }

  return (
    <div class={css.picker}>
      <input
        id={props.id}
        class={css.input}
        role="combobox"
        aria-expanded={isOpen}
        aria-controls={listId}
        aria-autocomplete="list"
        aria-activedescendant={isOpen && found.length > 0 ? `${listId}-${active}` : undefined}
        autocomplete="off"
        spellcheck={false}
        readOnly={props.isLocked}
        placeholder={props.searchHint}
        value={typed ?? label}
        onFocus={(event) => event.currentTarget.select()}
        onClick={() => !isOpen && !props.isLocked && open("")}
        onInput={(event) => open(event.currentTarget.value)}
        onKeyDown={onKeyDown}
        onBlur={() => setTyped(undefined)}
      />
      <ul ref={list} id={listId} class={css.list} role="listbox" hidden={!isOpen} tabIndex={-1}>
        {isOpen &&
          found.map(({ country, name }, index) => (
            <li
              key={country.id}
              id={`${listId}-${index}`}
              role="option"
              aria-selected={index === active}
              // Before the field loses the focus.
              onPointerDown={(event) => {
                event.preventDefault();
                choose(index);
              }}
            >
              <span>{name}</span> <span class={css.code}>+{country.code}</span>
            </li>
          ))}
        {isOpen && found.length === 0 && (
          <li role="option" aria-selected="false" aria-disabled="true">
            {props.nothingFound}
          </li>
        )}
      </ul>
    </div>
  );
}
