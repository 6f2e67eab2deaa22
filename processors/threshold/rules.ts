import type { ProcessorContext } from "../../src/sdk/component.ts";
import { checkSchedule } from "../../src/sdk/cron.ts";
import { durationMs } from "../../src/sdk/duration.ts";
import { ConfigError } from "../../src/sdk/errors.ts";
import type { Expression, ScopeName } from "../../src/sdk/expression.ts";
import { neverBoolean } from "../../src/sdk/expression_boolean.ts";
import { ObservationFeed, type Measure, type RuleDeclaration, type Statistic } from "../../src/sdk/rule.ts";
import { KIND_KEYS, STATISTICS, type MeasureConfig, type RuleConfig } from "./schema.ts";

const SELF: readonly ScopeName[] = ["self"];
const MOVED: readonly ScopeName[] = ["self", "transition"];
const OBSERVED: readonly ScopeName[] = ["body", "attributes", "time", "source", "self", "transition"];
const MEASURED: readonly ScopeName[] = ["value", "earlier", "group"];
const GROUP: readonly ScopeName[] = ["value", "group"];

/** Labels that no group can have. */
const OWN_LABELS = ["alertname", "resource_type"] as const;
const OBSERVATION_RESOLVES_AFTER = "5m";
const EARLIER_WINDOWS_MAX = 300;

/** What a rule's own texts may read, by its kind. */
const TEMPLATE_SCOPE: Readonly<Record<RuleDeclaration["kind"], readonly ScopeName[]>> = {
  expr: SELF, stuck: SELF, entered: SELF, illegal: SELF, undeclared: SELF, looping: SELF, absent: SELF, sequence: SELF,
  change: ["self", "value"], aggregate: MEASURED, window: MEASURED, expect: GROUP, always: [], failing: [],
};

type Kind = "expr" | "absent" | "sequence" | "change" | "window" | "aggregate" | "expect" | "always";

/** The rule that is written at `pointer`. Throws `ConfigError` where its keys do not fit together. */
export function ruleOf(rule: RuleConfig, pointer: string, context: ProcessorContext): RuleDeclaration {
  const given = KIND_KEYS.filter((key) => rule[key] !== undefined);
  if (given.length > 1) throw new ConfigError(`${pointer}/${given[1]!}`, `cannot stand beside ${given[0]!}: a rule is of one kind; make two rules of it`);
  const key = given[0];
  const kind: Kind = key === undefined ? "expr" : key === "absent_for" ? "absent" : key === "on" ? "window" : key;
  const expression = (at: string, text: string, scope: readonly ScopeName[]): Expression => context.expression(`${pointer}/${at}`, text, scope);
  const condition = (at: string, text: string, scope: readonly ScopeName[]): Expression => {
    const made = expression(at, text, scope);
    const found = neverBoolean(text);
    if (found !== undefined) throw new ConfigError(`${pointer}/${at}`, `is never true: ${found} is no condition; allowed: a comparison, such as ${example(text)}`);
    return made;
  };
  const required = (scope: readonly ScopeName[]): Expression => {
    if (rule.expr === undefined) throw new ConfigError(pointer, `needs \`expr\`: ${key === undefined ? "the condition" : "what is compared with the value"}`);
    return condition("expr", rule.expr, scope);
  };
  const only = (name: "by" | "resolve_after"): void => {
    if (rule[name] !== undefined) throw new ConfigError(`${pointer}/${name}`, "goes only with `on: observation`");
  };
  if (key !== "on") {
    only("by");
    only("resolve_after");
  }
  if (rule.flapping !== undefined) positive("flapping/within", rule.flapping.within);
  for (const [at, by] of [["by", rule.by], ["window/by", rule.window?.by], ["aggregate/by", rule.aggregate?.by]] as const) {
    const taken = OWN_LABELS.find((name) => by !== undefined && Object.hasOwn(by, name));
    // The alert says these itself: two groups would be one to whoever tells alerts apart by their labels.
    if (taken !== undefined) throw new ConfigError(`${pointer}/${at}/${taken}`, `is a label that every alert has; allowed: another name`);
  }
  const base = baseOf(rule, pointer, kind, summaryOf(rule, kind), context);
  switch (kind) {
    case "expr":
      return { kind, ...base, expr: required(SELF), clear: clearOf(SELF) };
    case "absent":
      noClear();
      return { kind, ...base, absentForMs: positive("absent_for", rule.absent_for!), expr: rule.expr === undefined ? undefined : condition("expr", rule.expr, SELF) };
    case "sequence": {
      noClear();
      noNoData();
      if (rule.expr !== undefined) throw new ConfigError(`${pointer}/expr`, "goes not with sequence: its conditions are `after`, `followed_by` and `unless`");
      const { after, followed_by: followedBy, unless, within } = rule.sequence!;
      return {
        kind, ...base,
        after: condition("sequence/after", after, MOVED),
        followedBy: condition("sequence/followed_by", followedBy, MOVED),
        unless: unless === undefined ? undefined : condition("sequence/unless", unless, MOVED),
        withinMs: positive("sequence/within", within),
      };
    }
    case "change": {
      const { value, over, as } = rule.change!;
      const scope: readonly ScopeName[] = ["value", "self"];
      return { kind, ...base, value: expression("change/value", value, SELF), overMs: positive("change/over", over), as, expr: required(scope), clear: clearOf(scope) };
    }
    case "aggregate":
      return { kind, ...base, ...groupsOf("aggregate", rule.aggregate!, SELF), expr: required(MEASURED), clear: clearOf(MEASURED) };
    case "window":
      return rule.on === "observation" ? observationRule() : {
        kind, ...base,
        ...groupsOf("window", rule.window!, OBSERVED),
        overMs: comparable(positive("window/over", rule.window!.over), rule.window!.earlier),
        dividedBy: rule.window!.divided_by === undefined ? undefined : measureOf("window/divided_by", rule.window!.divided_by, OBSERVED),
        onObservation: false,
        expr: required(MEASURED),
        clear: clearOf(MEASURED),
        feed: new ObservationFeed(),
      };
    case "expect": {
      noClear();
      const { ids, within, schedule } = rule.expect!;
      if (within === undefined && schedule === undefined) throw new ConfigError(`${pointer}/expect`, "needs `within` or `schedule`: by when it must come");
      const wrong = schedule === undefined ? undefined : checkSchedule(schedule);
      if (wrong !== undefined) throw new ConfigError(`${pointer}/expect/schedule/${wrong.key}`, wrong.message);
      if (ids !== undefined && new Set(ids).size < ids.length) throw new ConfigError(`${pointer}/expect/ids`, "names one resource twice");
      return {
        kind, ...base, ids, schedule,
        expr: rule.expr === undefined ? undefined : condition("expr", rule.expr, MOVED),
        withinMs: within === undefined ? 0 : positive("expect/within", within),
      };
    }
    case "always":
      noClear();
      noNoData();
      if (rule.expr !== undefined) throw new ConfigError(`${pointer}/expr`, "goes not with always: it has no condition");
      return { kind, ...base };
    default:
      return kind satisfies never;
  }

  function clearOf(scope: readonly ScopeName[]): Expression | undefined {
    return rule.clear === undefined ? undefined : condition("clear", rule.clear, scope);
  }

  function noClear(): void {
    if (rule.clear !== undefined) throw new ConfigError(`${pointer}/clear`, `goes not with ${key!}`);
  }

  function noNoData(): void {
    if (rule.no_data !== "ok") throw new ConfigError(`${pointer}/no_data`, `goes not with ${key!}`);
  }

  function positive(at: string, text: string): number {
    const ms = durationMs(text);
    if (ms < 1_000) throw new ConfigError(`${pointer}/${at}`, "is too short; allowed: at least 1s");
    return ms;
  }

  /** Buckets are kept as far back as `earlier` says, as fine as `over` needs them. */
  function comparable(overMs: number, earlier: string | undefined): number {
    if (earlier !== undefined && durationMs(earlier) > overMs * EARLIER_WINDOWS_MAX) {
      throw new ConfigError(`${pointer}/window/earlier`, `is more than ${EARLIER_WINDOWS_MAX} times \`over\`; allowed: a longer window, or one less far back`);
    }
    return overMs;
  }

  function measureOf(at: string, config: MeasureConfig, scope: readonly ScopeName[]): Measure {
    const found = measuredKeys(config);
    if (found.length !== 1) {
      throw new ConfigError(`${pointer}/${at}`, `needs exactly one of ${STATISTICS.join(", ")}, p50 … p99${found.length > 1 ? `; has ${found.join(" and ")}` : ""}`);
    }
    const of = found[0] as Statistic;
    const text = config[of] as string | true;
    const counts = of === "count" || of === "rate";
    if (counts && text !== true && config.when !== undefined) throw new ConfigError(`${pointer}/${at}/when`, `is said twice: ${of} has a condition already`);
    const isCondition = counts && text !== true;
    const when = isCondition ? text : config.when;
    return {
      of,
      // For share: which of those that `when` lets pass it holds for.
      value: counts ? undefined : (of === "share" ? condition : expression)(`${at}/${of}`, text as string, scope),
      when: when === undefined ? undefined : condition(`${at}/${isCondition ? of : "when"}`, when, scope),
    };
  }

  function groupsOf(at: "window" | "aggregate", config: NonNullable<RuleConfig["aggregate"]>, scope: readonly ScopeName[]) {
    return {
      measure: measureOf(at, config, scope),
      by: new Map(Object.entries(config.by ?? {}).map(([name, text]) => [name, expression(`${at}/by/${name}`, text, scope)])),
      groupsMax: config.groups_max,
      earlierMs: config.earlier === undefined ? undefined : positive(`${at}/earlier`, config.earlier),
    };
  }

  /** One matching observation in the last while: so it resolves by itself, and a burst is one alert. */
  function observationRule(): RuleDeclaration {
    noClear();
    if (rule.expr === undefined) throw new ConfigError(pointer, "needs `expr`: the condition on an observation");
    return {
      kind: "window", ...base,
      measure: { of: "count", value: undefined, when: condition("expr", rule.expr, OBSERVED) },
      by: new Map(Object.entries(rule.by ?? {}).map(([name, text]) => [name, expression(`by/${name}`, text, OBSERVED)])),
      groupsMax: 1_000,
      earlierMs: undefined,
      overMs: positive("resolve_after", rule.resolve_after ?? OBSERVATION_RESOLVES_AFTER),
      dividedBy: undefined,
      onObservation: true,
      expr: context.expression(pointer, "value > 0", MEASURED),
      feed: new ObservationFeed(),
    };
  }
}

function baseOf(rule: RuleConfig, pointer: string, kind: Kind, summary: string, context: ProcessorContext) {
  const scope = TEMPLATE_SCOPE[kind];
  const bySeverity = [rule.by, rule.window?.by, rule.aggregate?.by].some((by) => by !== undefined && Object.hasOwn(by, "severity"));
  const templates = (what: "labels" | "annotations") =>
    Object.entries(rule[what] ?? {}).map(([name, text]) => [name, context.template(`${pointer}/${what}/${name}`, text, scope)] as const);
  return {
    id: rule.id ?? rule.alert,
    alert: rule.alert,
    type: rule.type,
    labels: new Map([...(bySeverity ? [] : [["severity", context.template(pointer, "warning", [])] as const]), ...templates("labels")]),
    annotations: new Map([["summary", context.template(pointer, summary, scope)], ...templates("annotations")]),
    pointer,
    forMs: durationMs(rule.for),
    keepFiringForMs: durationMs(rule.keep_firing_for),
    noData: rule.no_data,
    flapping: rule.flapping === undefined ? undefined : { max: rule.flapping.fires_max, withinMs: durationMs(rule.flapping.within) },
  };
}

/** The annotation `summary` where none is written: one line that says what is wrong. */
function summaryOf(rule: RuleConfig, kind: Kind): string {
  const text = (written: string | undefined): string => (written ?? "").replaceAll("{{", "{ {");
  switch (kind) {
    case "expr":
      return `{{ self.type }} {{ self.id }}: ${text(rule.expr)}`;
    case "absent":
      return `Nothing was heard of {{ self.type }} {{ self.id }} for {{ now - self.last_seen }} (limit ${rule.absent_for!})`;
    case "sequence":
      return `{{ self.type }} {{ self.id }}: after ${text(rule.sequence!.after)}, ${text(rule.sequence!.followed_by)} did not follow within ${rule.sequence!.within}`;
    case "change":
      return `{{ self.type }} {{ self.id }}: ${text(rule.change!.value)} changed by {{ value }} over ${rule.change!.over}`;
    case "window":
      return rule.on === "observation"
        ? `Observed: ${text(rule.expr)}`
        : `${text(measured(rule.window!))} is {{ value }} over ${rule.window!.over} (${text(rule.expr)})`;
    case "aggregate":
      return `${text(measured(rule.aggregate!))} is {{ value }} (${text(rule.expr)})`;
    case "expect":
      return (rule.expect!.ids === undefined ? "Nothing came" : "{{ group.id }} did not come")
        + (rule.expect!.schedule === undefined ? ` in ${rule.expect!.within!}` : ` by the schedule (${text(rule.expect!.schedule.cron)})`);
    case "always":
      return "Sojourn is alive";
    default:
      return kind satisfies never;
  }
}

/** `count of body.status == 'failed'`, `p95 of body.ms where has(body.ms)`, `count of … / count`. */
function measured(config: MeasureConfig): string {
  const of = measuredKeys(config)[0]!;
  const what = config[of] === true ? of : `${of} of ${String(config[of] as string)}`;
  const by = config["divided_by"] as MeasureConfig | undefined;
  return `${what}${config.when === undefined ? "" : ` where ${config.when}`}${by === undefined ? "" : ` / ${measured(by)}`}`;
}

function measuredKeys(config: MeasureConfig): string[] {
  return Object.keys(config).filter((name) => (STATISTICS as readonly string[]).includes(name) || /^p\d\d$/.test(name));
}

/** The same compared with something. */
function example(text: string): string {
  const shown = text.length <= 40 && !/[&|?!<>=]/.test(text) ? text.trim() : "self.amount";
  return `\`${shown} > 100\``;
}
