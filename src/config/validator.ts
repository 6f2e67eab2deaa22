import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import type { SchemaValidateFunction } from "ajv/dist/types/index.js";
import { RE2JS } from "re2js";
import { parseDuration } from "../sdk/duration.ts";
import type { ScopeName } from "../sdk/expression.ts";
import { compileExpression } from "../sdk/expression_compile.ts";
import type { Json } from "../sdk/observation.ts";
import { matcherError } from "../sdk/matchers.ts";
import { parseSize } from "../sdk/size.ts";
import { compileTemplate } from "../sdk/template_compile.ts";
import type { Accepts, Schema } from "./schema_walk.ts";
import { closest } from "../sdk/suggest.ts";

/** One thing wrong with a value, before it is worded. `params` are ajv's, or those of our own keywords. */
export interface Finding {
  /** JSON pointer. */
  readonly pointer: string;
  readonly keyword: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** What the keyword says. */
  readonly schema: unknown;
  /** The schema around the keyword. */
  readonly parent: Schema;
  readonly value: unknown;
}

/** `host:port`, `:port` or `[v6]:port`. */
export function isAddress(text: string): boolean {
  const match = /^(?:\[[0-9A-Fa-f:.%a-z]+\]|[^\s:/[\]]*):(\d{1,5})$/.exec(text);
  return match !== null && text.length <= 300 && Number(match[1]) <= 65_535;
}

const isGlob = (text: string): boolean => text !== "" && text.length <= 4096 && !text.includes("\0");

/** Why a pattern is none, or undefined when it is. */
export function regexError(text: string): string | undefined {
  try {
    RE2JS.compile(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^error parsing regexp: /, "") : "it cannot be compiled";
  }
}

const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  duration: (text) => parseDuration(text) !== undefined,
  size: (text) => parseSize(text) !== undefined,
  address: isAddress,
  glob: isGlob,
  regex: (text) => regexError(text) === undefined,
  matcher: (text) => matcherError(text) === undefined,
  "date-time": (text) => /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/.test(text) && Number.isFinite(Date.parse(text)),
};

/** A keyword whose text is compiled. What it finds carries the offset in the text. */
function compiled(keyword: string, compile: (text: string, scope: readonly ScopeName[]) => unknown): SchemaValidateFunction {
  const validate: SchemaValidateFunction = (scope: readonly ScopeName[], text: string): boolean => {
    try {
      compile(text, scope);
      return true;
    } catch (error) {
      const { message, offset } = error as { message?: unknown; offset?: unknown };
      const params = { reason: String(message ?? error), offset: typeof offset === "number" ? offset : 0 };
      validate.errors = [{ keyword, params }];
      return false;
    }
  };
  return validate;
}

/**
 * An ajv that knows our formats and keywords, strict. Test of every component's schema: it must compile here.
 * Values are never changed by it: see `withDefaults` and `converted`.
 */
export function newAjv(strictTypes: boolean): Ajv2020 {
  const ajv = new Ajv2020({
    strict: true,
    strictTypes,
    // Alternatives such as `oneOf: [{ required: [url] }, { required: [urls] }]` name properties of the schema around them.
    strictRequired: false,
    allowUnionTypes: true,
    allErrors: true,
    verbose: true,
    ownProperties: true,
    logger: false,
  });
  for (const [name, validate] of Object.entries(FORMATS)) ajv.addFormat(name, { type: "string", validate });
  const scope = { type: "array", items: { type: "string" } };
  const base = { type: "string", schemaType: "array", metaSchema: scope, errors: true } as const;
  ajv.addKeyword({ ...base, keyword: "expression", validate: compiled("expression", compileExpression) });
  ajv.addKeyword({ ...base, keyword: "template", validate: compiled("template", compileTemplate) });
  return ajv;
}

type Raw = Partial<ErrorObject>;

/** Validates values and finds everything wrong with them, of several branches only the one that was meant. */
export class Validator {
  readonly #ajv = newAjv(false);
  readonly #compiled = new Map<Schema, ValidateFunction>();
  readonly #branches = new Map<Schema, { readonly root: Schema; readonly whole: Schema }>();

  constructor() {
    for (const keyword of ["anyOf", "oneOf"]) {
      this.#ajv.removeKeyword(keyword);
      const validate: SchemaValidateFunction = (branches: readonly Schema[], value: Json, parent, context): boolean => {
        const found = this.#choose(keyword, branches, value, (parent as unknown as Schema) ?? {});
        if (found === undefined) return true;
        const prefix = context?.instancePath ?? "";
        validate.errors = found.map((finding) => (
          { keyword: "branch", params: { finding: { ...finding, pointer: prefix + finding.pointer } } }
        ));
        return false;
      };
      this.#ajv.addKeyword({ keyword, schemaType: "array", errors: true, validate });
    }
  }

  /** Everything wrong with the value. */
  check(root: Schema, value: Json): Finding[] {
    const validate = this.#function(root);
    if (validate(value) === true) return [];
    const findings = (validate.errors ?? []).flatMap((error: Raw): Finding[] => {
      const nested = error.params?.["finding"] as Finding | undefined;
      if (nested !== undefined) return [nested];
      // These say only that something else was wrong.
      if (error.keyword === "if" || error.keyword === "propertyNames") return [];
      if (error.propertyName !== undefined) return [badName(error, error.propertyName)];
      const { instancePath = "", keyword = "", params = {}, schema, parentSchema = {}, data } = error;
      return [{ pointer: instancePath, keyword, params: params as Record<string, unknown>, schema, parent: parentSchema as Schema, value: data }];
    });
    // What is of the wrong kind altogether has nothing else wrong worth telling.
    const kinds = new Set(findings.filter((finding) => finding.keyword === "type").map((finding) => finding.pointer));
    return findings.filter((finding) => finding.keyword === "type" || !kinds.has(finding.pointer));
  }

  readonly accepts: Accepts = (root, schema, value) => this.#branch(root, schema, value).length === 0;

  #branch(root: Schema, schema: Schema, value: Json): Finding[] {
    let known = this.#branches.get(schema);
    if (known === undefined || known.root !== root) {
      known = { root, whole: root === schema || root.$defs === undefined ? schema : { $defs: root.$defs, ...schema } };
      this.#branches.set(schema, known);
    }
    // Branches inside branches find their definitions in the root of this one.
    return this.check(known.whole, value);
  }

  #choose(keyword: string, branches: readonly Schema[], value: Json, parent: Schema): Finding[] | undefined {
    const root = this.#rootOf(branches);
    const results = branches.map((branch) => this.#branch(root, branch, value));
    const fit = results.filter((findings) => findings.length === 0).length;
    if (fit === 1 || (fit > 1 && keyword === "anyOf")) return undefined;
    const found = (name: string, params: Finding["params"]): Finding[] => [{ pointer: "", keyword: name, params, schema: branches, parent, value }];
    if (fit > 1) return found("exclusive", { branches: branches.filter((_, i) => results[i]!.length === 0) });
    const isMissing = (f: Finding): boolean => f.keyword === "required" && f.pointer === "";
    if (results.every((findings) => findings.every(isMissing))) {
      return found("oneRequired", { names: [...new Set(results.flat().map((f) => String(f.params["missingProperty"])))] });
    }
    const isKind = (f: Finding): boolean => f.pointer === "" && (f.keyword === "type" || f.keyword === "const" || f.keyword === "enum");
    if (results.every((findings) => findings.some(isKind))) return found("kinds", { findings: results.flat().filter(isKind) });
    let best = results[0]!;
    for (const findings of results) if (badness(findings) < badness(best)) best = findings;
    // What is not known in this branch may be misspelt from a key of another.
    const allowed = [...new Set(branches.flatMap((branch) => Object.keys(branch.properties ?? {})))];
    return best.map((f) => (f.keyword === "additionalProperties" && f.pointer === "" ? { ...f, params: { ...f.params, allowed } } : f));
  }

  readonly #roots = new Map<readonly Schema[], Schema>();

  #rootOf(branches: readonly Schema[]): Schema {
    return this.#roots.get(branches) ?? {};
  }

  #function(schema: Schema): ValidateFunction {
    let validate = this.#compiled.get(schema);
    if (validate === undefined) {
      this.#remember(schema, schema, new Set());
      validate = this.#ajv.compile(schema);
      this.#compiled.set(schema, validate);
    }
    return validate;
  }

  /** Notes to which root each list of branches belongs: a `$ref` in a branch is meant from there. */
  #remember(root: Schema, node: unknown, seen: Set<unknown>): void {
    if (node === null || typeof node !== "object" || seen.has(node)) return;
    seen.add(node);
    for (const [key, value] of Object.entries(node)) {
      if ((key === "oneOf" || key === "anyOf") && Array.isArray(value)) this.#roots.set(value as Schema[], root);
      this.#remember(root, value, seen);
    }
  }
}

/** A key that is not allowed: located at the key. */
function badName(error: Raw, name: string): Finding {
  const pointer = `${error.instancePath ?? ""}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
  const params = { inner: error.keyword, schema: error.schema };
  return { pointer, keyword: "propertyNames", params, schema: error.schema, parent: (error.parentSchema ?? {}) as Schema, value: name };
}

/** How far a value is from a branch: the wrong kind is farthest, then the wrong discriminator, then keys. */
function badness(findings: readonly Finding[]): number {
  let sum = 0;
  for (const { keyword, pointer, params, parent } of findings) {
    const unknown = keyword === "additionalProperties" ? String(params["additionalProperty"]) : undefined;
    if (pointer === "" && keyword === "type") sum += 1_000;
    else if ((keyword === "const" || keyword === "enum") && pointer.split("/").length === 2) sum += 100;
    else if (unknown !== undefined && closest(unknown, Object.keys(parent.properties ?? {})) !== undefined) sum += 2;
    else if (keyword === "additionalProperties" || keyword === "required") sum += 10;
    else sum += 1;
  }
  return sum;
}
