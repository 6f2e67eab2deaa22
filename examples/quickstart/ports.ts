import { createServer } from "node:net";

/** What start.ts cannot do, in one line for people. */
export class StartError extends Error {}

/** An address of the agent as agent.yaml has it, and what moves it elsewhere. */
export interface Port {
  readonly name: string;
  readonly port: number;
  /** Environment variable with another port. */
  readonly variable: string;
  /** Where agent.yaml says it. */
  readonly key: string;
}

export const HOST = "127.0.0.1";

export const PORTS = {
  metrics: { name: "metrics", port: 9464, variable: "QUICKSTART_METRICS_PORT", key: "exporters.prometheus.listen" },
  api: { name: "API", port: 9465, variable: "QUICKSTART_API_PORT", key: "service.api.listen" },
  webhooks: { name: "webhooks", port: 8081, variable: "QUICKSTART_WEBHOOK_PORT", key: "receivers.webhook/shop.listen" },
} as const satisfies Record<string, Port>;

type Ports = Readonly<Record<keyof typeof PORTS, Port>>;

/** `PORTS`, with those that the environment moves. Throws `StartError`. */
export function portsFrom(env: NodeJS.ProcessEnv): Ports {
  const moved = (preset: Port): Port => {
    const text = env[preset.variable] ?? "";
    if (text === "") return preset;
    const port = Number(text);
    if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return { ...preset, port };
    throw new StartError(`${preset.variable} is "${text}"; it must be a port, from 1 to 65535`);
  };
  return { metrics: moved(PORTS.metrics), api: moved(PORTS.api), webhooks: moved(PORTS.webhooks) };
}

/** Throws `StartError`, naming the ports that cannot be opened and how to choose others. */
export async function checkFree(ports: readonly Port[]): Promise<void> {
  const reasons: string[] = [];
  const variables: string[] = [];
  for (const { name, port, variable } of ports) {
    const code = await bindError(port);
    if (code === undefined) continue;
    reasons.push(`${port} (${name})${code === "EADDRINUSE" ? "" : ` (${code})`}`);
    variables.push(`${variable}=${port + 10_000 > 65_535 ? port - 10_000 : port + 10_000}`);
  }
  if (reasons.length === 0) return;
  const [subject, verb] = reasons.length === 1 ? ["port", "is"] : ["ports", "are"];
  throw new StartError(
    `${subject} ${reasons.join(", ")} on ${HOST} ${verb} taken; stop what uses ${reasons.length === 1 ? "it" : "them"} ` +
    `(another npm start?), or choose: ${variables.join(" ")} npm start`,
  );
}

function bindError(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(port, HOST, () => void server.close(() => resolve(undefined)));
  });
}
