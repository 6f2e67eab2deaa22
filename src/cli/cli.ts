import { parseArgs } from "node:util";
import { loadConfig } from "../config/load.ts";
import { printConfig } from "../config/print.ts";
import { componentSchema, configSchema } from "../config/schema.ts";
import { closest } from "../sdk/suggest.ts";
import { problemText } from "../pipeline/problems.ts";
import type { AnyDefinition } from "../sdk/component.ts";
import { EXIT, standardOutput, type Output } from "./exit.ts";
import { version } from "./version.ts";

const HELP = `sojourn ${version}: says what is stuck.

Usage: sojourn <command> [options]

Commands
  run            Run the agent until it is stopped (Ctrl-C).
  validate       Check configuration files; print every problem as file:line:column.
  print-config   Print the configuration as it runs: monitors expanded, variables filled in, secrets redacted.
  test           Run the tests: of configuration files, on virtual time.
  components     List the components of this build.
  schema         Print the JSON Schema of the configuration, for editors.
  cdc drop-slot  Drop a receiver's replication slot: cdc drop-slot cdc/orders -c …; with --dry-run, look at it.

Commands that ask a running agent
  alerts         List the open alerts.
  explain        Tell the story of one: explain OrderStuckInPending, order/4711, "order region=eu" or its key.
  acknowledge    Say that somebody is at it: it is not repeated any more.
  silence        silence add <matcher>… --for 2h --comment <why>; silence list; silence expire <id>
  deliveries     List what was sent, and what came of it.
  redeliver      Send a dead letter again: its number, or --all; without either, list them.
  notify-test    Send one marked message now: notify-test slack/ops.

Options
  -c, --config <path>    A file, or a directory whose *.yaml files add up. Repeatable; later ones win.
      --set <a.b=value>  Set one value, after all files. Repeatable.
      --dry-run          run: print alerts instead of sending them; remember nothing. cdc: only look.
      --unredacted       print-config: with secrets.
      --filter <text>    test: only tests whose name contains it.
      --junit <file>     test: write a report as JUnit XML, too.
      --component <type> schema: of one component: slack, exporter/webhook.
      --api <url>        Where the agent's API is. Default: $SOJOURN_API, else http://127.0.0.1:9465.
      --for, --comment, --by   silence add, acknowledge: how long, why, who (default: $USER).
      --version, --help

Exit codes: 0 fine, 1 failed, 2 wrong usage, 78 invalid configuration.

A first monitor:
  sojourn validate --config examples/quickstart
  sojourn run --config examples/quickstart
`;

const OPTIONS = {
  config: { type: "string", short: "c", multiple: true },
  set: { type: "string", multiple: true },
  "dry-run": { type: "boolean" },
  unredacted: { type: "boolean" },
  filter: { type: "string" },
  junit: { type: "string" },
  component: { type: "string" },
  api: { type: "string" },
  for: { type: "string" },
  comment: { type: "string" },
  by: { type: "string" },
  all: { type: "boolean" },
  version: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

/** Which options each command takes. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  run: ["config", "set", "dry-run"],
  validate: ["config", "set"],
  "print-config": ["config", "set", "unredacted"],
  test: ["config", "set", "filter", "junit"],
  components: [],
  schema: ["component"],
  alerts: ["api"],
  explain: ["api"],
  acknowledge: ["api", "comment", "by"],
  silence: ["api", "for", "comment", "by"],
  deliveries: ["api"],
  redeliver: ["api", "all"],
  "notify-test": ["api"],
};

class UsageError extends Error {}

/** Does what the arguments say; resolves with the exit code. Files may stand without `--config`. */
export async function cli(argv: readonly string[], definitions: readonly AnyDefinition[], output: Output = standardOutput): Promise<number> {
  try {
    return await command(argv, definitions, output);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    output.error(`sojourn: ${error.message}\nTry: sojourn --help`);
    return EXIT.usage;
  }
}

async function command(argv: readonly string[], definitions: readonly AnyDefinition[], output: Output): Promise<number> {
  const { values, positionals } = parsed(argv);
  const [name, ...files] = positionals;
  if (values.version === true) return say(output, version);
  if (values.help === true || name === "help") return say(output, HELP);
  if (name === undefined) throw new UsageError(`what shall I do? Commands: ${Object.keys(COMMANDS).join(", ")}`);
  const { definitionWithTools, toolCommand } = await import("./tool.ts");
  const withTools = definitionWithTools(name, definitions);
  const allowed = withTools === undefined ? COMMANDS[name] : ["config", "set", "dry-run"];
  if (allowed === undefined) {
    const near = closest(name, Object.keys(COMMANDS));
    throw new UsageError(`unknown command "${name}"; ${near === undefined ? `there are ${Object.keys(COMMANDS).join(", ")}` : `did you mean ${near}?`}`);
  }
  for (const option of Object.keys(values)) {
    if (!allowed.includes(option)) throw new UsageError(`${name} takes no --${option}${allowed.length > 0 ? `; it takes --${allowed.join(", --")}` : ""}`);
  }
  if (allowed.includes("api")) return remote(name, files, values, output);
  if (!allowed.includes("config") && files.length > 0) throw new UsageError(`${name} takes no file`);
  const sources = [...(values.config ?? []), ...(withTools === undefined ? files : [])];
  if (allowed.includes("config") && sources.length === 0) throw new UsageError(`${name} needs --config <file or directory>`);
  const set = values.set ?? [];
  const options = { sources, set, env: process.env, definitions };
  if (withTools !== undefined) {
    const code = await toolCommand({ definition: withTools, args: files, load: options, dryRun: values["dry-run"] === true, output });
    if (typeof code === "number") return code;
    throw new UsageError(code.usage);
  }
  switch (name) {
    case "run":
      // What a command alone needs is loaded with it: the others start at once.
      return (await import("./run.ts")).run({ sources, set, dryRun: values["dry-run"] === true, definitions, output });
    case "validate":
      return validate(options, output);
    case "print-config": {
      const { wanted, problems } = await loadConfig(options);
      for (const problem of problems) output.error(problemText(problem));
      output.out(printConfig(wanted, values.unredacted === true ? "unredacted" : "redacted").trimEnd());
      return problems.length > 0 ? EXIT.config : EXIT.ok;
    }
    case "test":
      return (await import("./test.ts")).testCommand({ ...options, filter: values.filter, junit: values.junit, output });
    case "components":
      return say(output, componentsText(definitions));
    default:
      return schema(values.component, definitions, output);
  }
}

async function remote(name: string, args: readonly string[], values: ReturnType<typeof parsed>["values"], output: Output): Promise<number> {
  const { ArgumentError, remoteCommand } = await import("./remote/commands.ts");
  const { API_DEFAULT } = await import("./remote/client.ts");
  try {
    const api = values.api ?? (process.env["SOJOURN_API"] || API_DEFAULT);
    return await remoteCommand(name, { api, args, for: values.for, by: values.by, comment: values.comment, all: values.all === true, output });
  } catch (error) {
    if (error instanceof ArgumentError) throw new UsageError(`${name} ${error.message.startsWith(`${name} `) ? error.message.slice(name.length + 1) : error.message}`);
    throw error;
  }
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    const message = (error as Error).message.split(". To specify")[0]!;
    const [, word] = /'--?([^'= ]+)/.exec(message) ?? [];
    const near = word === undefined ? undefined : closest(word, Object.keys(OPTIONS));
    throw new UsageError(near === undefined ? message : `${message}; did you mean --${near}?`);
  }
}

async function validate(options: Parameters<typeof loadConfig>[0], output: Output): Promise<number> {
  const { wanted, problems, warnings, files } = await loadConfig(options);
  for (const warning of warnings) output.error(`warning: ${problemText(warning)}`);
  const { checkPlan } = await import("./check_plan.ts");
  const found = problems.length > 0 ? problems : checkPlan(wanted, options.definitions);
  for (const problem of found) output.error(problemText(problem));
  if (found.length > 0) {
    output.error(`${found.length} ${found.length === 1 ? "problem" : "problems"}`);
    return EXIT.config;
  }
  const count = (things: readonly unknown[], what: string): string => `${things.length} ${what}${things.length === 1 ? "" : "s"}`;
  output.out(`ok: ${count(files, "file")}, ${count(wanted.pipelines, "pipeline")}, ${count(wanted.components, "component")}`);
  return EXIT.ok;
}

function componentsText(definitions: readonly AnyDefinition[]): string {
  const lines = definitions.map(({ kind, type, stability, summary }) => `${kind.padEnd(10)} ${type.padEnd(12)} ${stability.padEnd(7)} ${summary}`);
  return [`${"KIND".padEnd(10)} ${"TYPE".padEnd(12)} ${"STATUS".padEnd(7)} SUMMARY`, ...lines].join("\n");
}

function schema(component: string | undefined, definitions: readonly AnyDefinition[], output: Output): number {
  if (component === undefined) return say(output, JSON.stringify(configSchema(definitions), undefined, 2));
  const found = definitions.filter(({ kind, type }) => type === component || `${kind}/${type}` === component);
  if (found.length === 0) {
    const types = [...new Set(definitions.map(({ type }) => type))];
    const near = closest(component, [...types, ...definitions.map(fullName)]);
    throw new UsageError(`there is no component "${component}"; ${near === undefined ? `there are ${types.join(", ")}` : `did you mean ${near}?`}`);
  }
  if (found.length > 1) throw new UsageError(`"${component}" is several components; say which: ${found.map(fullName).join(" or ")}`);
  return say(output, JSON.stringify(componentSchema(found[0]!), undefined, 2));
}

/** `exporter/webhook`: a receiver and an exporter may have one type. */
const fullName = ({ kind, type }: AnyDefinition): string => `${kind}/${type}`;

function say(output: Output, text: string): number {
  output.out(text);
  return EXIT.ok;
}
