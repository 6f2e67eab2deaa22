import type { AnyDefinition } from "../sdk/component.ts";
import type { Json } from "../sdk/observation.ts";
import { canonical } from "./fingerprint.ts";
import { Issues, type Issue } from "./issues.ts";
import type { ComponentKind, Place, Problem, ServiceConfig, TestCase } from "./model.ts";
import { expandMonitor, type Expansion } from "./monitors.ts";
import { ambiguous, receiversNamed } from "./receiver_names.ts";
import { describeMissing } from "./references.ts";
import type { Schema } from "./schema_walk.ts";
import { serviceConfig } from "./service.ts";
import { suggestion } from "../sdk/suggest.ts";
import { tellingProblems, tellingWarnings } from "./telling.ts";
import { testSchema } from "./tests_schema.ts";
import { child, isNull, locate, mappingAt, toJson, type Mapping, type Tree } from "./tree.ts";
import { COMPONENT_SECTIONS } from "./union.ts";
import { idError, isName, readUses, typeOf, type Use } from "./uses.ts";
import { validate, type Validated } from "./validate.ts";
import type { Validator } from "./validator.ts";

/** A component as one place defines it. */
export interface Defined {
  readonly kind: ComponentKind;
  readonly id: string;
  readonly place: Place;
  readonly path: string;
  readonly tree: Tree;
  readonly validated: Validated;
}

/** A pipeline with the ids of what it wires. */
export interface Wired {
  readonly name: string;
  readonly place: Place;
  readonly path: string;
  readonly tree: Tree;
  readonly uses: Readonly<Record<ComponentKind, readonly Use[]>>;
}

export interface Evaluation {
  readonly components: ReadonlyMap<string, Defined>;
  readonly pipelines: ReadonlyMap<string, Wired>;
  readonly service: ServiceConfig | undefined;
  readonly serviceRedacted: Json;
  readonly serviceTree: Tree;
  readonly tests: readonly TestCase[];
  readonly issues: readonly Issue[];
  readonly warnings: readonly Problem[];
}

/** What runs, to tell which of two stays. */
export type Running = Pick<Evaluation, "components" | "pipelines">;

/** Components are told apart by kind and id: a receiver and an exporter may both be `kafka`. */
export const keyOf = (kind: ComponentKind, id: string): string => `${kind} ${id}`;

const KINDS = ["receiver", "processor", "exporter"] as const;
const SECTION = { receiver: "receivers", processor: "processors", exporter: "exporters" } as const;

export interface Evaluator {
  readonly definitions: readonly AnyDefinition[];
  readonly validator: Validator;
  /** Results by definition and tree: most of a configuration is the same at the next evaluation. */
  readonly known: Map<AnyDefinition, WeakMap<Tree, Validated>>;
}

/**
 * Everything that a configuration defines, and everything that is wrong with it.
 * `running` is what the last evaluation defined: of two that clash it stays, and what belongs to a file in `frozen` may
 * still use it after its own file has let it go.
 */
export function evaluate(evaluator: Evaluator, tree: Mapping, running: Running, frozen: ReadonlySet<string>): Evaluation {
  const { definitions, validator } = evaluator;
  const issues = new Issues();
  const components = new Map<string, Defined>();
  const pipelines = new Map<string, Wired>();
  const wrong = (at: { place: Place; path: string }, message: string | (() => string)): void => issues.add(at, message);
  const section = (name: string): Mapping | undefined => {
    const value = child(tree, name);
    return value?.kind === "map" ? value : undefined;
  };

  function define(kind: ComponentKind, id: string, place: Place, given: Tree): void {
    const here = { place, path: given.path };
    const definition = definitions.find((d) => d.kind === kind && d.type === typeOf(id));
    if (definition === undefined) return wrong(here, () => unknownType(definitions, kind, id));
    const written = isNull(given) ? mappingAt([], here) : given;
    const validated = validatedBy(evaluator, definition, written);
    issues.addAll(validated.problems);
    if (kind === "exporter" && validated.problems.length === 0) issues.addAll(tellingProblems(written, validated.value));
    const key = keyOf(kind, id);
    const known = components.get(key);
    const made: Defined = { kind, id, ...here, tree: written, validated };
    if (known === undefined) components.set(key, made);
    else if (said(known) !== said(made)) clash(kind, id, known, made);
  }

  function clash(kind: ComponentKind, id: string, known: Defined, made: Defined): void {
    const wins = runs(running.components.get(keyOf(kind, id)), made, known);
    const [winner, loser] = wins ? [made, known] : [known, made];
    components.set(keyOf(kind, id), winner);
    const { file, line, column } = winner.place;
    wrong(loser, `${kind} ${id} is defined differently at ${file}:${line}:${column} (${winner.path}); rename one`);
  }

  function wire(made: Wired): void {
    const known = pipelines.get(made.name);
    const wins = known === undefined || runs(running.pipelines.get(made.name), made, known);
    if (wins) pipelines.set(made.name, made);
    if (known !== undefined) {
      const [winner, loser] = wins ? [made, known] : [known, made];
      const { file, line, column } = winner.place;
      wrong(loser, `there is a pipeline ${made.name} already at ${file}:${line}:${column} (${winner.path}); rename one`);
    }
    for (const kind of KINDS) for (const use of made.uses[kind]) if (use.inline !== undefined) define(kind, use.id, use.place, use.inline);
  }

  for (const [name, kind] of Object.entries(COMPONENT_SECTIONS)) {
    for (const [id, entry] of section(name)?.entries ?? []) {
      const bad = idError(id);
      if (bad !== undefined) wrong({ place: entry.place, path: entry.value.path }, bad);
      else define(kind, id, entry.place, entry.value);
    }
  }
  const service = section("service");
  const written = service === undefined ? undefined : child(service, "pipelines");
  for (const [name, entry] of written?.kind === "map" ? written.entries : []) {
    const made = readPipeline(name, entry.place, entry.value, issues);
    if (made !== undefined) wire(made);
  }
  for (const [name, entry] of section("monitors")?.entries ?? []) {
    const expansion = expandMonitor(name, entry.place, entry.value, definitions, issues);
    if (expansion !== undefined) wire(wiredMonitor(expansion));
  }
  const serviceTree = service ?? mappingAt([], tree);
  const about = serviceConfig(validator, serviceTree);
  issues.addAll(about.problems);

  const used = new Set<string>();
  for (const pipeline of pipelines.values()) {
    for (const kind of KINDS) {
      for (const use of pipeline.uses[kind]) {
        const key = keyOf(kind, use.id);
        const lent = running.components.get(key);
        if (!components.has(key) && lent !== undefined && frozen.has(pipeline.place.file)) components.set(key, lent);
        used.add(key);
        if (!components.has(key) && use.inline === undefined) issues.add(use, () => describeMissing(definitions, components, kind, use.id), key);
      }
    }
  }
  const tests = readTests(validator, child(tree, "tests"), components, pipelines, definitions, issues);
  const warnings = [...components]
    .filter(([key, made]) => !used.has(key) && made.validated.problems.length === 0)
    .map(([, made]) => ({ place: made.place, path: made.path, message: `${made.kind} ${made.id} is in no pipeline, so it does not run` }));
  for (const [key, { kind, tree: at }] of components) if (kind === "exporter" && used.has(key)) warnings.push(...tellingWarnings(at));
  for (const key of components.keys()) if (!used.has(key)) components.delete(key);
  return { components, pipelines, service: about.service, serviceRedacted: about.redacted, serviceTree, tests, issues: issues.list, warnings };
}

/** Of two, the one that is running; by what it says, wherever it is written by now. */
function runs(ran: { readonly tree: Tree } | undefined, made: { readonly tree: Tree }, known: { readonly tree: Tree }): boolean {
  return ran !== undefined && said(ran) === said(made) && said(ran) !== said(known);
}

const said = (made: { readonly tree: Tree }): string => canonical(toJson(made.tree));

function validatedBy(evaluator: Evaluator, definition: AnyDefinition, tree: Tree): Validated {
  let results = evaluator.known.get(definition);
  if (results === undefined) evaluator.known.set(definition, (results = new WeakMap()));
  let result = results.get(tree);
  if (result === undefined) results.set(tree, (result = validate(evaluator.validator, definition.schema as unknown as Schema, tree)));
  return result;
}

function unknownType(definitions: readonly AnyDefinition[], kind: ComponentKind, id: string): string {
  const type = typeOf(id);
  const others = definitions.filter((d) => d.type === type).map((d) => d.kind);
  const types = definitions.filter((d) => d.kind === kind).map((d) => d.type).toSorted();
  if (others.length > 0) {
    const what = others.map((other) => (other === "exporter" ? "an exporter" : `a ${other}`)).join(" or ");
    return `${type} is no ${kind} but ${what}; it belongs under ${others.map((other) => SECTION[other]).join(" or ")}`;
  }
  return `there is no ${kind} of type ${type}; ${suggestion(type, types)}`;
}

function readPipeline(name: string, place: Place, tree: Tree, issues: Issues): Wired | undefined {
  const here = { place, path: tree.path };
  if (!isName(name)) issues.add(here, "a pipeline's name has the wrong form; allowed: letters, digits, _ - and . (at most 100)");
  if (tree.kind !== "map") {
    issues.add(here, "must be a map with receivers, processors and exporters");
    return undefined;
  }
  const keys = Object.values(SECTION);
  for (const [key, entry] of tree.entries) {
    if (keys.some((known) => known === key)) continue;
    issues.add({ place: entry.place, path: entry.value.path }, () => `is not known here; ${suggestion(key, keys)}`);
  }
  const nameOf = (type: string, ordinal: number): string => `${type}/${name}#${ordinal}`;
  const read = (kind: ComponentKind): Use[] => readUses(child(tree, SECTION[kind]), kind, false, nameOf, issues);
  const uses = { receiver: read("receiver"), processor: read("processor"), exporter: read("exporter") };
  if (isNull(child(tree, "receivers")) || listLength(child(tree, "receivers")) === 0) {
    issues.add(here, "receivers is missing; a pipeline needs at least one");
  }
  return { name, ...here, tree, uses };
}

const listLength = (tree: Tree | undefined): number => (tree?.kind === "list" ? tree.items.length : 1);

function wiredMonitor(expansion: Expansion): Wired {
  const { name, place, path, tree, receivers, processors, exporters } = expansion;
  return { name, place, path, tree, uses: { receiver: receivers, processor: processors, exporter: exporters } };
}

function readTests(
  validator: Validator, tree: Tree | undefined, components: ReadonlyMap<string, Defined>, pipelines: ReadonlyMap<string, Wired>,
  definitions: readonly AnyDefinition[], issues: Issues,
): TestCase[] {
  if (tree?.kind !== "list") return [];
  const wired = [...pipelines.values()].map(({ name, uses }) => ({ name, receivers: uses.receiver.map(({ id }) => id) }));
  return tree.items.flatMap((item): TestCase[] => {
    const { value, problems } = validate(validator, testSchema, item);
    issues.addAll(problems);
    if (problems.length > 0) return [];
    const test = value as { name: string; steps: Record<string, Json>[] };
    // What a reload brings is not known before.
    const reloaded = test.steps.findIndex((step) => step["reload"] !== undefined);
    test.steps.forEach((step, i) => {
      const to = (step["send"] as { to?: string } | undefined)?.to;
      if (to === undefined || (reloaded !== -1 && i > reloaded) || components.has(keyOf("receiver", to))) return;
      const here = locate(item, `/steps/${i}/send/to`);
      const meant = receiversNamed(to, wired);
      if (meant.length > 1) issues.add(here, ambiguous(to, meant));
      if (meant.length === 0) issues.add(here, () => describeMissing(definitions, components, "receiver", to), keyOf("receiver", to));
    });
    return [{ name: test.name, file: item.place.file, steps: test.steps, locate: (pointer) => locate(item, pointer) }];
  });
}
