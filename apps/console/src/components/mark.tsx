import css from "./mark.module.css";

/** The product's sign: a bus with three lines, a dot on the middle one. */
export function Mark() {
  return (
    <span class={css.brand}>
      <svg viewBox="0 0 22 22" aria-hidden="true">
        <g fill="none" stroke="currentColor" stroke-width="2.4" stroke-linecap="round">
          <path d="M3 3v16M3 4.5h15M3 11h9.5M3 17.5h12.5" />
        </g>
        <circle cx="12.9" cy="11" r="2.6" />
      </svg>
      Manyline
    </span>
  );
}
