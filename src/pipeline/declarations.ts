import type { ConfiguredRule } from "../alerts/alert_state.ts";
import { suggestion } from "../sdk/suggest.ts";
import type { PipelineConfig, Problem, ServiceConfig } from "../config/model.ts";
import type { TypeDeclaration } from "../sdk/resource.ts";
import { RESOURCE_FIELDS } from "../sdk/resource.ts";
import type { RuleDeclaration } from "../sdk/rule.ts";
import type { Instance } from "./instance.ts";
import { failingRules } from "./failing_rules.ts";
import { problemAt, problemText } from "./problems.ts";

/** One pipeline with its instances, in order. */
export interface PipelineParts {
  readonly config: PipelineConfig;
  readonly receivers: readonly Instance[];
  readonly processors: readonly Instance[];
  readonly exporters: readonly Instance[];
}

/** What the components of a graph declare together. */
export interface Declared {
  readonly types: readonly TypeDeclaration[];
  readonly rules: readonly ConfiguredRule[];
  /** Receivers that feed each type; under no name, those that feed windows over observations of no type. */
  readonly feeds: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Collects and checks what the components declare, and in which file that is (`fileOf`). Pure; what is wrong is added to `all`. */
export function collect(
  pipelines: readonly PipelineParts[], all: Problem[], service: Pick<ServiceConfig, "receiver_failing">, fileOf: (instance: Instance) => string,
): Declared {
  // A component of several pipelines is looked at in each; what is wrong with it is said once.
  const said = new Map(all.map((problem) => [problemText(problem), problem]));
  const problems = { push: (problem: Problem): void => void said.set(problemText(problem), problem) };
  const declared = collectAll(pipelines, problems, service, fileOf);
  all.splice(0, all.length, ...said.values());
  return declared;
}

type Problems = { push(problem: Problem): void };

function collectAll(
  pipelines: readonly PipelineParts[], problems: Problems, service: Pick<ServiceConfig, "receiver_failing">, fileOf: (instance: Instance) => string,
): Declared {
  const types = collectTypes(pipelines, problems);
  const feeds = new Map<string, Set<string>>();
  const rules = new Map<string, Found>();
  for (const { receivers, processors, exporters } of pipelines) {
    let tracked: string | undefined;
    for (const instance of processors) {
      const declares = instance.component.declares;
      checkObserved(instance, tracked, types, problems);
      if (declares?.type !== undefined) {
        tracked = declares.type.type;
        feed(feeds, tracked, receivers);
        for (const { config, component: { untrackable } } of receivers) {
          if (untrackable !== undefined) problems.push(problemAt(config, untrackable.pointer, `it feeds ${instance.config.id}: ${untrackable.reason}`));
        }
      }
      for (const declaration of declares?.rules ?? []) {
        const type = declaration.type ?? tracked ?? (needsNoType(declaration) ? "" : undefined);
        if (type === undefined) {
          problems.push(problemAt(instance.config, declaration.pointer, `rule "${declaration.id}" has no type: put it after a track processor, or give it a \`type\``));
          continue;
        }
        if (type === "" && declaration.kind === "window") feed(feeds, type, receivers);
        checkRule(instance, { ...declaration, type }, types, problems);
        const key = JSON.stringify([type, declaration.id]);
        const known = rules.get(key);
        const found = known ?? { declaration: { ...declaration, type }, owner: instance, exporters: new Set(), receivers: new Set() };
        const isSame = found.owner === instance && found.declaration.pointer === declaration.pointer;
        // With other states that has been said already; with the same ones it is one rule.
        const isOfTracks = found.owner !== instance && bothTracks(found.owner, instance) && declaration.kind !== "expr";
        if (isSame || isOfTracks) {
          for (const exporter of notifiers(exporters)) found.exporters.add(exporter);
          for (const { config } of receivers) found.receivers.add(config.id);
          rules.set(key, found);
        } else {
          const { place } = found.owner.config.locate(found.declaration.pointer);
          problems.push(problemAt(instance.config, declaration.pointer, `rule "${declaration.id}" of type ${type} is also at ${place.file}:${place.line}; give one an \`id\``));
        }
      }
    }
  }
  return { types: [...types.values()], rules: [...[...rules.values()].map((rule) => configured(rule, feeds, fileOf)), ...failingRules(pipelines, service.receiver_failing)], feeds };
}

/** A rule, and the pipelines that list it, taken together. */
interface Found {
  readonly declaration: RuleDeclaration & { readonly type: string };
  readonly owner: Instance;
  readonly exporters: Set<string>;
  readonly receivers: Set<string>;
}

/** A window is about what passes it, all others about resources, whoever feeds them. */
function configured(
  { declaration, owner, exporters, receivers }: Found, feeds: ReadonlyMap<string, ReadonlySet<string>>, fileOf: (instance: Instance) => string,
): ConfiguredRule {
  const feeding = declaration.kind === "window" ? receivers : (feeds.get(declaration.type) ?? receivers);
  return { declaration, file: fileOf(owner), exporters: [...exporters].sort(), receivers: [...feeding].sort() };
}

function feed(feeds: Map<string, Set<string>>, type: string, receivers: readonly Instance[]): void {
  const fed = feeds.get(type) ?? new Set();
  for (const receiver of receivers) fed.add(receiver.config.id);
  feeds.set(type, fed);
}

/** About observations of any kind, or about nothing. */
function needsNoType({ kind }: RuleDeclaration): boolean {
  return kind === "window" || kind === "always";
}

/** Several tracks of one type raise the same alerts. */
function bothTracks(a: Instance, b: Instance): boolean {
  return a.component.declares?.type !== undefined && b.component.declares?.type !== undefined;
}

function notifiers(exporters: readonly Instance[]): string[] {
  return exporters.filter(({ component }) => component.notify !== undefined).map(({ config }) => config.id);
}

/** One declaration for each type: attributes merge, states must agree, of limits the larger. */
function collectTypes(pipelines: readonly PipelineParts[], problems: Problems): Map<string, TypeDeclaration> {
  const types = new Map<string, { declaration: TypeDeclaration; owner: Instance }>();
  for (const instance of new Set(pipelines.flatMap(({ processors }) => processors))) {
    const declaration = instance.component.declares?.type;
    if (declaration === undefined) continue;
    const known = types.get(declaration.type);
    if (known === undefined) {
      types.set(declaration.type, { declaration, owner: instance });
      continue;
    }
    const silent = (d: TypeDeclaration): boolean => d.states.size === 0 && !d.exhaustive;
    if (!silent(declaration) && !silent(known.declaration) && declaration.statesKey !== known.declaration.statesKey) {
      const { place } = known.owner.config.locate("/states");
      problems.push(problemAt(instance.config, "/states", `type ${declaration.type} has other states at ${place.file}:${place.line}; a type has one declaration of states: leave them out in one place`));
      continue;
    }
    const [main, other] = silent(known.declaration) ? [declaration, known.declaration] : [known.declaration, declaration];
    types.set(declaration.type, {
      owner: silent(known.declaration) ? instance : known.owner,
      declaration: {
        ...main,
        attributes: [...new Set([...main.attributes, ...other.attributes])],
        resourcesMax: Math.max(main.resourcesMax, other.resourcesMax),
        statesMax: Math.max(main.statesMax, other.statesMax),
        // One that is silent about states has only defaults to say of when they expire.
        expireTerminalAfterMs: silent(other) ? main.expireTerminalAfterMs : Math.max(main.expireTerminalAfterMs, other.expireTerminalAfterMs),
        expireAfterMs: main.expireAfterMs === undefined || other.expireAfterMs === undefined
          ? (main.expireAfterMs ?? other.expireAfterMs)
          : Math.max(main.expireAfterMs, other.expireAfterMs),
      },
    });
  }
  return new Map([...types].map(([type, { declaration }]) => [type, declaration]));
}

/** Expressions about an observation: `self` is known only after a track, and has only what is tracked. */
function checkObserved(instance: Instance, tracked: string | undefined, types: ReadonlyMap<string, TypeDeclaration>, problems: Problems): void {
  for (const { pointer, reads, scope } of instance.uses) {
    if (!scope.includes("body") || !(reads.scope.has("self") || reads.scope.has("transition"))) continue;
    if (tracked === undefined) {
      problems.push(problemAt(instance.config, pointer, "self and transition are known only after a track processor; move it behind one"));
    } else {
      checkAttributes(instance, pointer, reads.self, types.get(tracked), problems);
    }
  }
}

/**
 * What a rule reads of a resource must be tracked; otherwise it would never hold, and nobody would know. Its expressions on an
 * observation read the resource tracked before them: see `checkObserved`.
 */
function checkRule(instance: Instance, rule: RuleDeclaration & { readonly type: string }, types: ReadonlyMap<string, TypeDeclaration>, problems: Problems): void {
  const type = types.get(rule.type);
  if (type === undefined) {
    if (rule.type === "") return;
    const known = [...types.keys()];
    problems.push(problemAt(instance.config, rule.pointer, `no track feeds type "${rule.type}"; ${suggestion(rule.type, known)}`));
    return;
  }
  for (const { pointer, reads, scope } of instance.uses) {
    if (scope.includes("body") || (pointer !== rule.pointer && !pointer.startsWith(`${rule.pointer}/`))) continue;
    checkAttributes(instance, pointer, reads.self, type, problems);
  }
}

function checkAttributes(instance: Instance, pointer: string, names: Iterable<string>, type: TypeDeclaration | undefined, problems: Problems): void {
  const known = [...RESOURCE_FIELDS, ...(type?.attributes ?? [])];
  for (const name of names) {
    if (name === "" || known.includes(name)) continue;
    problems.push(problemAt(instance.config, pointer, `self.${name} is not tracked for type ${type?.type}; ${suggestion(name, known)}`));
  }
}
