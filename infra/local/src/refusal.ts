/** Something that the person at the keyboard can mend; the message says how, in one sentence. */
export class Refusal extends Error {
  override name = "Refusal";
}
