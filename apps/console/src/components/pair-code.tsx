import css from "./pair-code.module.css";

/**
 * The code in eight cells, to be seen and selected. For a screen reader it is one readable text beside it.
 * @param code `ABCD-EFGH`
 */
export function PairCode({ code, isDead = false }: { code: string; isDead?: boolean }) {
  const [first = "", second = ""] = code.split("-");
  return (
    <>
      <p class={`${css.code} ${isDead ? css.dead : ""}`} aria-hidden="true">
        <Half text={first} />
        <span class={css.dash} />
        <Half text={second} />
      </p>
      <p class={css.spoken}>{Array.from(code.replace("-", "")).join(" ")}</p>
    </>
  );
}

function Half({ text }: { text: string }) {
  return (
    <span class={css.half}>
      {Array.from(text).map((character, index) => (
        <span key={index} class={css.cell}>
          {character}
        </span>
      ))}
    </span>
  );
}
