import { printable, timeText } from "../../sdk/alert_text.ts";
import type { RemoteAgent } from "./client.ts";
import type { ListedAlert } from "./explain.ts";

const DEAD_LETTERS_SHOWN = 100;
const NAMED_MAX = 5;

/** What was given up, one a line, oldest first; and how to send it again. */
export async function deadLetters(agent: RemoteAgent): Promise<string> {
  const found = (await agent.list("/api/v1/dead_letters?limit=100", DEAD_LETTERS_SHOWN)) as DeadLetter[];
  if (found.length === 0) return "there are no dead letters";
  const lines = found.toReversed().map(({ number, at, component, reason, content }) =>
    printable(`${String(number).padStart(4)}  ${instant(at)}  ${component}  ${aboutText(content)}${reason}`));
  return [...lines, "sojourn redeliver <number> sends one of a notification again, --all sends all of them"].join("\n");
}

interface DeadLetter {
  readonly number: number;
  readonly at: string;
  readonly component: string;
  readonly reason: string;
  /** A notification, cut when it is long, or an observation. */
  readonly content: unknown;
}

/** `fired: OrderFailed order/o1: ` of a notification; empty for anything else. */
function aboutText(content: unknown): string {
  const { kind, cause, alerts } = (content ?? {}) as { kind?: unknown; cause?: string; alerts?: readonly Delivery["alerts"][number][] };
  return kind === "notification" && Array.isArray(alerts) ? `${cause ?? ""}: ${namesText(alerts)}: ` : "";
}

function namesText(alerts: Delivery["alerts"]): string {
  const names = alerts.slice(0, NAMED_MAX).map(({ alert, resource }) => (resource.id === "" ? alert : `${alert} ${resource.type}/${resource.id}`));
  return `${names.join(", ")}${alerts.length > NAMED_MAX ? ", …" : ""}`;
}

/** A delivery as a listing of the API has it. */
export interface Delivery {
  readonly at: string;
  readonly exporter: string;
  readonly cause: string;
  readonly result: string;
  readonly answer: string | null;
  readonly alerts: readonly Pick<ListedAlert, "alert" | "resource">[];
  readonly count: number;
}

/** One delivery on one line. */
export function deliveryLine({ at, exporter, cause, result, answer, alerts, count }: Delivery): string {
  const more = count > alerts.length ? ` +${count - alerts.length} more` : "";
  return printable(`${instant(at)}  ${result.padEnd(11)} ${exporter}  ${cause}: ${namesText(alerts)}${more}${answer === null ? "" : `  (${answer})`}`);
}

/** As the API says it, with as many digits in each line. */
function instant(time: string): string {
  return timeText(Date.parse(time));
}
