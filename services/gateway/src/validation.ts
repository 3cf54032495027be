import type { ManylineError } from "@manyline/contracts";
import type { FastifySchemaCompiler } from "fastify";
import { Compile } from "typebox/compile";
import type { TSchema } from "typebox";
import { invalidRequest } from "./problem.ts";
import type { FieldError } from "./problem.ts";
import { wordsOfPattern } from "./pattern-words.ts";

/**
 * Checks requests with the very schemas that the types come from. Nothing is coerced and nothing
 * removed: an unknown field is an error, so that a typing mistake is seen.
 */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const check = checkWith(Compile(schema), httpPart ?? "request");
  return (value: unknown) => {
    const error = check(value);
    return error ? { error } : { value };
  };
};

/** What is wrong with a value, as one INVALID_REQUEST; undefined when nothing is. */
export function checkWith(
  check: Pick<ReturnType<typeof Compile>, "Check" | "Errors">,
  part: string,
): (value: unknown) => ManylineError | undefined {
  return (value) => {
    if (check.Check(value)) return undefined;
    const errors = check.Errors(value).flatMap((error) => fieldErrors(error, part));
    return invalidRequest(...withoutRepeats(errors));
  };
}

type SchemaError = ReturnType<ReturnType<typeof Compile>["Errors"]>[number];

function fieldErrors(error: SchemaError, part: string): FieldError[] {
  const path = error.instancePath.split("/").filter((name) => name !== "");
  const at = (name?: string): string =>
    [...path, ...(name === undefined ? [] : [name])].join(".") || part;
  if (error.keyword === "required") {
    const { requiredProperties } = error.params;
    return requiredProperties.map((name) => ({ field: at(name), message: "is required" }));
  }
  if (error.keyword === "additionalProperties") {
    const { additionalProperties } = error.params;
    return additionalProperties.map((name) => ({ field: at(name), message: "is not known here" }));
  }
  // How `additionalProperties: false` tells of each field: by the schema `false` that it has for it.
  if (error.keyword === "boolean") return [{ field: at(), message: "is not known here" }];
  if (error.keyword === "pattern" && typeof error.params.pattern === "string") {
    return [{ field: at(), message: wordsOfPattern(error.params.pattern) }];
  }
  return [{ field: at(), message: error.message }];
}

/** A union fails once per branch; one line per field is enough. */
function withoutRepeats(errors: readonly FieldError[]): FieldError[] {
  const byField = new Map<string, FieldError>();
  for (const error of errors) if (!byField.has(error.field)) byField.set(error.field, error);
  return [...byField.values()];
}
