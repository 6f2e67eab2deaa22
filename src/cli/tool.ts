import { loadConfig } from "../config/load.ts";
import { problemText } from "../pipeline/problems.ts";
import { realClock } from "../sdk/clock.ts";
import type { AnyDefinition } from "../sdk/component.ts";
import { messageOf } from "../sdk/errors.ts";
import { closest } from "../sdk/suggest.ts";
import { EXIT, type Output } from "./exit.ts";

export interface ToolCommand {
  readonly definition: AnyDefinition;
  /** What stands behind the component's type: the tool, and whose it is. */
  readonly args: readonly string[];
  readonly load: Parameters<typeof loadConfig>[0];
  readonly dryRun: boolean;
  readonly output: Output;
}

/** The component whose type is a command, because it has tools. */
export function definitionWithTools(name: string, definitions: readonly AnyDefinition[]): AnyDefinition | undefined {
  return definitions.find(({ type, tools }) => type === name && tools !== undefined);
}

/** `sojourn <type> <tool> <id>`. Resolves with the exit code; undefined and a message when the arguments are wrong. */
export async function toolCommand({ definition, args, load, dryRun, output }: ToolCommand): Promise<number | { readonly usage: string }> {
  const { type, kind } = definition;
  const tools = definition.tools ?? {};
  const names = Object.keys(tools);
  const [name, id, ...more] = args;
  const known = names.map((tool) => `${type} ${tool} <id>`).join(", ");
  if (name === undefined || !Object.hasOwn(tools, name)) {
    const near = name === undefined ? undefined : closest(name, names);
    return { usage: near === undefined ? `${type} takes one of: ${known}` : `${type} has no ${name}; did you mean ${near}?` };
  }
  if (id === undefined || more.length > 0) return { usage: `${type} ${name} takes the id of one ${kind}, as ${type}/orders` };
  const { wanted, problems } = await loadConfig(load);
  for (const problem of problems) output.error(problemText(problem));
  if (problems.length > 0) return EXIT.config;
  const those = wanted.components.filter((component) => component.kind === kind && component.type === type);
  const found = those.find((component) => component.id === id);
  if (found === undefined) {
    output.error(`sojourn: no ${kind} ${id} is configured; there ${those.length === 1 ? "is" : "are"} ${those.map((component) => component.id).join(", ") || `no ${type} at all`}`);
    return EXIT.failed;
  }
  try {
    await tools[name]!.run(found.config as never, { id, clock: realClock, dryRun, say: (text) => output.out(text) });
    return EXIT.ok;
  } catch (error) {
    output.error(`sojourn: ${messageOf(error)}`);
    return EXIT.failed;
  }
}
