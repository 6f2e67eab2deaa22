import { Ajv2020 } from "ajv/dist/2020.js";
import { parseDuration } from "../../src/sdk/duration.ts";
import { parseSize } from "../../src/sdk/size.ts";

/** `value` checked by a component's schema, with its defaults filled in at every level. Throws what ajv says. */
export function configured(schema: object, value: object): never {
  const ajv = new Ajv2020({ strict: true, useDefaults: true, allErrors: true, allowUnionTypes: true });
  for (const keyword of ["expression", "template"]) ajv.addKeyword({ keyword });
  ajv.addFormat("duration", (text: string) => parseDuration(text) !== undefined);
  ajv.addFormat("size", (text: string) => parseSize(text) !== undefined);
  ajv.addFormat("address", /:\d{1,5}$/);
  ajv.addFormat("matcher", true);
  const copy = structuredClone(value);
  if (!ajv.validate(schema, copy)) throw new Error(ajv.errorsText());
  return copy as never;
}
