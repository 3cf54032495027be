/** Each number goes to the engine of its kind. */
import type { Provider as Kind } from "@manyline/contracts";
import type { NumberRef, Provider } from "./provider.ts";

export function providersByKind(
  linked: Provider,
  others: Partial<Record<Kind, Provider>>,
): Provider {
  const of = ({ provider }: NumberRef): Provider => others[provider] ?? linked;
  return {
    link: (number, handlers) => of(number).link(number, handlers),
    login: (number, handlers) => of(number).login(number, handlers),
    fetchFile: (source, number) => of(number).fetchFile(source, number),
    check: async (number) => (await of(number).check?.(number)) ?? [],
    flowKey: async (number, isUpload) =>
      (await of(number).flowKey?.(number, isUpload)) ?? { refused: "NOT_CONNECTED" },
    endSession: async (number) => (await of(number).endSession?.(number)) ?? false,
    openWpp: async (number, wish, ms) =>
      (await of(number).openWpp?.(number, wish, ms)) ?? { refused: "WPP_NOT_CONFIGURED" },
    // Only what is decrypted here passes through a journal.
    tell: (entry) => linked.tell(entry),
  };
}
