import type { ConfigOf, ProcessorContext } from "../../src/sdk/component.ts";
import { durationMs } from "../../src/sdk/duration.ts";
import { ConfigError } from "../../src/sdk/errors.ts";
import type { RuleDeclaration } from "../../src/sdk/rule.ts";
import type { Template } from "../../src/sdk/template.ts";
import type { trackSchema } from "./schema.ts";

type Config = ConfigOf<typeof trackSchema>;

/** What the declaration of any of these alerts may say. */
interface AlertOptions {
  readonly enabled?: boolean;
  readonly alert?: string;
  readonly severity?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly resolve_after?: string;
}

const ILLEGAL_RESOLVES_AFTER_MS = 3_600_000;

/** The rules that a `track` raises by what its states declare. Throws `ConfigError`. */
export function rulesOf(config: Config, context: ProcessorContext): RuleDeclaration[] {
  const rules: RuleDeclaration[] = [];
  const typeName = pascal(config.type);
  const ids = new Set<string>();

  /** What all kinds have; undefined where it is switched off. `state`: the one that it is about, else the one it is in when it fires. */
  function base(pointer: string, name: string, options: AlertOptions | undefined, state: string | undefined, summary: string) {
    if (options?.enabled === false) return undefined;
    const alert = options?.alert ?? name;
    // Two states may be written alike (`in-progress`, `in_progress`): one rule must not take the other's place.
    const id = ids.has(name) ? alert : name;
    if (ids.has(id)) throw new ConfigError(pointer, `two states raise ${id}; give one another name with \`alert\``);
    ids.add(id);
    const written = (kind: string, values: Readonly<Record<string, string>> | undefined): Map<string, Template> =>
      new Map(Object.entries(values ?? {}).map(([key, text]) => [key, context.template(`${pointer}/${kind}/${key}`, text, ["self"])]));
    const literal = (text: string): Template => context.template(pointer, text.replaceAll("{{", "{ {"), []);
    return {
      id,
      alert,
      type: config.type,
      labels: new Map([
        ["state", state === undefined ? context.template(pointer, "{{ self.state }}", ["self"]) : literal(state)],
        ["severity", literal(options?.severity ?? "warning")],
        ...written("labels", options?.labels),
      ]),
      annotations: new Map([["summary", context.template(pointer, summary, ["self", "transition"])], ...written("annotations", options?.annotations)]),
      pointer,
    };
  }

  for (const [state, declared] of Object.entries(config.states ?? {})) {
    const pointer = `/states/${pointerPart(state)}`;
    const stateName = pascal(state);
    if (declared.stuck_after !== undefined) {
      const rule = base(`${pointer}/stuck`, `${typeName}StuckIn${stateName}`, declared.stuck, state,
        `{{ self.type }} {{ self.id }} has been {{ self.state }} for {{ now - self.since }} (limit ${declared.stuck_after})`);
      if (rule !== undefined) rules.push({ kind: "stuck", ...rule, state, afterMs: durationMs(declared.stuck_after) });
    }
    if (declared.alert !== undefined && declared.alert !== false) {
      const options: AlertOptions = declared.alert === true ? {} : (declared.alert as AlertOptions);
      const rule = base(`${pointer}/alert`, `${typeName}${stateName}`, options, state, "{{ self.type }} {{ self.id }} is {{ self.state }}");
      const resolveAfterMs = options.resolve_after === undefined ? undefined : durationMs(options.resolve_after);
      if (rule !== undefined) rules.push({ kind: "entered", ...rule, state, resolveAfterMs });
    }
    if (declared.loop_max !== undefined) {
      const rule = base(`${pointer}/loop`, `${typeName}LoopingIn${stateName}`, declared.loop, state,
        `{{ self.type }} {{ self.id }} entered ${quoted(state)} more than ${declared.loop_max} times`);
      if (rule !== undefined) rules.push({ kind: "looping", ...rule, alert: declared.loop?.alert ?? `${typeName}Looping`, state, max: declared.loop_max });
    }
  }
  if (Object.values(config.states ?? {}).some((state) => state.next !== undefined)) {
    const rule = base("/illegal_move", `${typeName}IllegalMove`, config.illegal_move, undefined,
      "{{ self.type }} {{ self.id }} moved from {{ transition.from }} to {{ self.state }}, which is not allowed");
    const resolveAfter = config.illegal_move?.resolve_after;
    if (rule !== undefined) rules.push({ kind: "illegal", ...rule, resolveAfterMs: resolveAfter === undefined ? ILLEGAL_RESOLVES_AFTER_MS : durationMs(resolveAfter) });
  }
  if (config.exhaustive) {
    const rule = base("/undeclared_state", `${typeName}UndeclaredState`, config.undeclared_state, undefined,
      "{{ self.type }} {{ self.id }} is {{ self.state }}, a state that is not declared");
    if (rule !== undefined) rules.push({ kind: "undeclared", ...rule });
  }
  return rules;
}

/** A key in a JSON pointer. https://www.rfc-editor.org/rfc/rfc6901#section-3 */
export function pointerPart(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}

/** `payment_failed` → `PaymentFailed`; letters of any script stay. */
export function pascal(name: string): string {
  return name
    .split(/[^\p{L}\p{M}\p{N}]+/u)
    .filter((part) => part !== "")
    .map((part) => part[0]!.toUpperCase() + part.slice(1))
    .join("");
}

/** Text that a template shows as it is. */
function quoted(text: string): string {
  return text.replaceAll("{{", "{ {");
}
