import type { ConfiguredRule } from "../alerts/alert_state.ts";
import { suggestion } from "../sdk/suggest.ts";
import type { PipelineConfig, Problem, ServiceConfig } from "../config/model.ts";
import type { TypeDeclaration } from "../sdk/resource.ts";
import { RESOURCE_FIELDS } from "../sdk/resource.ts";
import type { RuleDeclaration } from "../sdk/rule.ts";
import type { Instance } from "./instance.ts";
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
  /** Receivers that feed each type. */
  readonly feeds: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Collects and checks what the components declare. Pure; what is wrong is added to `problems`. */
export function collect(pipelines: readonly PipelineParts[], all: Problem[], _service?: Pick<ServiceConfig, "receiver_failing">): Declared {
  // A component of several pipelines is looked at in each; what is wrong with it is said once.
  const said = new Map(all.map((problem) => [problemText(problem), problem]));
  const problems = { push: (problem: Problem): void => void said.set(problemText(problem), problem) };
  const declared = collectAll(pipelines, problems);
  all.splice(0, all.length, ...said.values());
  return declared;
}

type Problems = { push(problem: Problem): void };

function collectAll(pipelines: readonly PipelineParts[], problems: Problems): Declared {
  const types = collectTypes(pipelines, problems);
  const feeds = new Map<string, Set<string>>();
  const rules = new Map<string, { rule: ConfiguredRule; owner: Instance; exporters: Set<string> }>();
  for (const { receivers, processors, exporters } of pipelines) {
    let tracked: string | undefined;
    for (const instance of processors) {
      const declares = instance.component.declares;
      checkObserved(instance, tracked, types, problems);
      if (declares?.type !== undefined) {
        tracked = declares.type.type;
        const fed = feeds.get(tracked) ?? new Set();
        for (const receiver of receivers) fed.add(receiver.config.id);
        feeds.set(tracked, fed);
      }
      for (const declaration of declares?.rules ?? []) {
        const type = declaration.type ?? tracked;
        if (type === undefined) {
          problems.push(problemAt(instance.config, declaration.pointer, `rule "${declaration.id}" has no type: put it after a track processor, or give it a \`type\``));
          continue;
        }
        checkRule(instance, { ...declaration, type }, types, problems);
        const key = JSON.stringify([type, declaration.id]);
        const known = rules.get(key);
        if (known === undefined) {
          rules.set(key, { rule: { declaration: { ...declaration, type }, file: instance.config.file, exporters: [] }, owner: instance, exporters: new Set(notifiers(exporters)) });
        } else if (known.owner === instance && known.rule.declaration.pointer === declaration.pointer) {
          for (const exporter of notifiers(exporters)) known.exporters.add(exporter);
        } else if (known.owner !== instance && bothTracks(known.owner, instance) && declaration.kind !== "expr") {
          // With other states that has been said already; with the same ones it is one rule.
          for (const exporter of notifiers(exporters)) known.exporters.add(exporter);
        } else {
          const { place } = known.owner.config.locate(known.rule.declaration.pointer);
          problems.push(problemAt(instance.config, declaration.pointer, `rule "${declaration.id}" of type ${type} is also at ${place.file}:${place.line}; give one an \`id\``));
        }
      }
    }
  }
  return {
    types: [...types.values()],
    rules: [...rules.values()].map(({ rule, exporters }) => ({ ...rule, exporters: [...exporters].sort() })),
    feeds,
  };
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

/** A rule may read only what its type tracks; otherwise it would never hold, and nobody would know. */
function checkRule(instance: Instance, rule: RuleDeclaration & { readonly type: string }, types: ReadonlyMap<string, TypeDeclaration>, problems: Problems): void {
  const type = types.get(rule.type);
  if (type === undefined) {
    const known = [...types.keys()];
    problems.push(problemAt(instance.config, rule.pointer, `no track feeds type "${rule.type}"; ${suggestion(rule.type, known)}`));
    return;
  }
  const names = new Set<string>(rule.kind === "expr" ? rule.expr.reads.self : []);
  for (const template of [...rule.labels.values(), ...rule.annotations.values()]) for (const name of template.reads.self) names.add(name);
  checkAttributes(instance, rule.pointer, names, type, problems);
}

function checkAttributes(instance: Instance, pointer: string, names: Iterable<string>, type: TypeDeclaration | undefined, problems: Problems): void {
  const known = [...RESOURCE_FIELDS, ...(type?.attributes ?? [])];
  for (const name of names) {
    if (name === "" || known.includes(name)) continue;
    problems.push(problemAt(instance.config, pointer, `self.${name} is not tracked for type ${type?.type}; ${suggestion(name, known)}`));
  }
}
