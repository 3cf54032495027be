import { useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import css from "./tabs.module.css";

export type TabItem<Id extends string> = { id: Id; label: string };

/** Two or more tabs; arrow keys choose. The panel is `TabPanel` with the same id. */
export function Tabs<Id extends string>(props: {
  label: string;
  items: TabItem<Id>[];
  chosen: Id;
  onChoose: (id: Id) => void;
}) {
  const list = useRef<HTMLDivElement>(null);
  const { items, chosen } = props;

  function choose(id: Id): void {
    props.onChoose(id);
    list.current?.querySelector<HTMLElement>(`#tab-${id}`)?.focus();
  }

  function onKeyDown(event: KeyboardEvent): void {
    const from = items.findIndex(({ id }) => id === chosen);
    const targets: Record<string, number> = {
      ArrowRight: (from + 1) % items.length,
      ArrowLeft: (from - 1 + items.length) % items.length,
      Home: 0,
      End: items.length - 1,
    };
    const item = items[targets[event.key] ?? -1];
    if (!item) return;
    event.preventDefault();
    choose(item.id);
  }

  return (
    <div ref={list} class={css.tabs} role="tablist" aria-label={props.label} onKeyDown={onKeyDown}>
      {items.map(({ id, label }) => (
        <button
          key={id}
          id={`tab-${id}`}
          type="button"
          role="tab"
          class={css.tab}
          aria-selected={id === chosen}
          aria-controls={id === chosen ? `panel-${id}` : undefined}
          tabIndex={id === chosen ? 0 : -1}
          onClick={() => choose(id)}
        >
          {label}
        </button>
      ))}
    </div>
  );
}

export function TabPanel(props: { id: string; children: ComponentChildren }) {
  return (
    <div
      id={`panel-${props.id}`}
      class={css.panel}
      role="tabpanel"
      aria-labelledby={`tab-${props.id}`}
      tabIndex={0}
    >
      {props.children}
    </div>
  );
}
