import { userInfo } from "node:os";
import { realClock } from "../../sdk/clock.ts";
import { parseDuration } from "../../sdk/duration.ts";
import { printable } from "../../sdk/alert_text.ts";
import { formatTime } from "../../sdk/time.ts";
import { EXIT, type Output } from "../exit.ts";
import { remoteAgent, RemoteError, type RemoteAgent } from "./client.ts";
import { deadLetters, deliveryLine, type Delivery } from "./deliveries.ts";
import { askedAlert, explained, findAlert, lineOf, listedAlerts, listedLine, type ListedAlert } from "./explain.ts";

const LISTED_MAX = 100_000;
const DELIVERIES_SHOWN = 100;

/** What was typed behind the command. */
export interface RemoteOptions {
  readonly api: string;
  readonly args: readonly string[];
  readonly for?: string | undefined;
  readonly by?: string | undefined;
  readonly comment?: string | undefined;
  readonly all?: boolean;
  readonly output: Output;
}

/** Wrong usage: said with a hint at --help. */
export class ArgumentError extends Error {}

type Command = (agent: RemoteAgent, options: RemoteOptions) => Promise<string>;

/** Commands that ask a running agent. Each gives what to print. */
export const REMOTE_COMMANDS: Readonly<Record<string, Command>> = {
  alerts: async (agent, { args }) => {
    none(args);
    const open = await openAlerts(agent);
    const now = realClock.now();
    return open.length === 0 ? "no open alert" : open.map((alert) => listedLine(alert, now)).join("\n");
  },
  explain: async (agent, { args }) => {
    const { dedup_key } = await findAlert(agent, one(args, "an alert: its name, its resource (order/4711) or its key"));
    return explained(await askedAlert(agent, dedup_key), realClock.now());
  },
  acknowledge: async (agent, { args, by, comment }) => {
    const found = await findAlert(agent, one(args, "an alert: its name, its resource (order/4711) or its key"));
    await agent.post(`/api/v1/alerts/${found.dedup_key}/acknowledge`, { by: author(by), comment: comment ?? "" });
    const before = found.acknowledged;
    return `acknowledged: ${lineOf(found)}${before === null ? "" : printable(` (before: by ${before.by} at ${before.at})`)}`;
  },
  silence,
  deliveries: async (agent, { args }) => {
    none(args);
    const found = (await agent.list("/api/v1/deliveries?limit=100", DELIVERIES_SHOWN)) as Delivery[];
    return found.length === 0 ? "nothing was sent yet" : found.toReversed().map(deliveryLine).join("\n");
  },
  redeliver: async (agent, { args, all }) => {
    if (all !== true && args.length === 0) return deadLetters(agent);
    if (all !== true) {
      const number = one(args, "the number of a dead letter");
      const { result } = (await agent.post(`/api/v1/dead_letters/${encodeURIComponent(number)}/redeliver`, {})) as { result: string };
      return printable(result);
    }
    none(args);
    const letters = (await agent.list("/api/v1/dead_letters?limit=1000", LISTED_MAX)) as { number: number; component: string }[];
    const lines: string[] = [];
    for (const { number } of letters.toReversed()) {
      try {
        const { result } = (await agent.post(`/api/v1/dead_letters/${number}/redeliver`, {})) as { result: string };
        lines.push(`${number}: ${printable(result)}`);
      } catch (error) {
        if (!(error instanceof RemoteError) || error.status === undefined) throw error;
        lines.push(`${number}: ${printable(error.message)}`);
      }
    }
    return lines.length === 0 ? "there are no dead letters" : lines.join("\n");
  },
  "notify-test": async (agent, { args }) => {
    const exporter = one(args, "the id of an exporter, such as slack/ops");
    const { result, stays_open: staysOpen } = (await agent.post(`/api/v1/exporters/${encodeURIComponent(exporter)}/test`, {})) as { result: string; stays_open?: boolean };
    return printable(`${exporter}: ${result}${staysOpen === true ? "; an incident that it opened there stays open until somebody resolves it there" : ""}`);
  },
};

async function openAlerts(agent: RemoteAgent): Promise<ListedAlert[]> {
  return (await listedAlerts(agent, LISTED_MAX)).filter(({ status }) => status !== "resolved");
}

async function silence(agent: RemoteAgent, options: RemoteOptions): Promise<string> {
  const [what, ...args] = options.args;
  switch (what) {
    case "add": {
      if (args.length === 0) throw new ArgumentError("silence add needs matchers, such as alertname=OrderStuckInPending");
      const ms = options.for === undefined ? undefined : parseDuration(options.for);
      if (ms === undefined || ms <= 0) throw new ArgumentError("silence add needs --for, a duration such as 2h");
      if (options.comment === undefined) throw new ArgumentError("silence add needs --comment: why");
      const ends_at = formatTime(realClock.now() + ms);
      const { id } = (await agent.post("/api/v1/silences", { matchers: args, ends_at, created_by: author(options.by), comment: options.comment })) as { id: string };
      const held = (await openAlerts(agent)).filter(({ silenced_by }) => silenced_by.includes(id)).length;
      const about = held === 0 ? "no alert that is open now (sojourn explain shows an alert's labels)" : `${held} open ${held === 1 ? "alert" : "alerts"}`;
      return `silence ${id} until ${ends_at}; it holds for ${about}`;
    }
    case "list": {
      none(args);
      const found = (await agent.list("/api/v1/silences?limit=1000", LISTED_MAX)) as Silence[];
      return found.length === 0 ? "there are no silences" : found.map(silenceLine).join("\n");
    }
    case "expire": {
      const id = one(args, "the id of a silence");
      await agent.post(`/api/v1/silences/${encodeURIComponent(id)}/expire`, {});
      return `silence ${id} is over`;
    }
    default:
      throw new ArgumentError("silence needs one of: add <matcher>… --for 2h --comment <why>, list, expire <id>");
  }
}

interface Silence {
  readonly id: string;
  readonly state: string;
  readonly matchers: readonly string[];
  readonly starts_at: string;
  readonly ends_at: string;
  readonly created_by: string;
  readonly comment: string;
}

function silenceLine({ id, state, matchers, starts_at, ends_at, created_by, comment }: Silence): string {
  const from = state === "pending" ? `from ${starts_at} ` : "";
  return printable(`${id}  ${state.padEnd(7)} ${from}until ${ends_at}  ${matchers.join(" ")}  (${created_by}: ${comment})`);
}

function one(args: readonly string[], what: string): string {
  if (args.length !== 1) throw new ArgumentError(args.length === 0 ? `needs ${what}` : `takes one argument: ${what}`);
  return args[0]!;
}

function none(args: readonly string[]): void {
  if (args.length > 0) throw new ArgumentError(`takes no argument ${args[0]!}`);
}

function author(by: string | undefined): string {
  return by ?? (process.env["USER"] || loginName());
}

function loginName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user without an entry in passwd, as in some containers.
    return "unknown";
  }
}

/** Asks the agent and prints what it says. Throws `ArgumentError` for what was typed wrong; else resolves with the exit code. */
export async function remoteCommand(name: string, options: RemoteOptions): Promise<number> {
  let agent: RemoteAgent | undefined;
  try {
    agent = remoteAgent(options.api);
    options.output.out(await REMOTE_COMMANDS[name]!(agent, options));
    return EXIT.ok;
  } catch (error) {
    if (error instanceof RemoteError) options.output.error(`sojourn: ${error.message}`);
    // Whatever an agent of another version leaves out, or says otherwise.
    else if (error instanceof TypeError || error instanceof RangeError) {
      options.output.error(`sojourn: the answer of ${options.api} is not understood (${error.message}): the agent there is of another version than this command`);
    } else throw error;
    return EXIT.failed;
  } finally {
    await agent?.close();
  }
}
