import type { HeartbeatConfig } from "../config/model.ts";
import { deadline, type Clock, type Timer } from "../sdk/clock.ts";
import { durationMs } from "../sdk/duration.ts";
import { createHttpClient, refusal } from "../sdk/http.ts";
import type { Counter } from "../sdk/metrics.ts";
import type { Agent } from "./agent.ts";

const TIMEOUT_MS = 10_000;
const BODY_BYTES_MAX = 64 * 2 ** 10;
const REDIRECTS_MAX = 3;

export interface HeartbeatOptions {
  readonly clock: Clock;
  /** The agent does what it is there for. */
  readonly alive: () => boolean;
  /** Resolves once all that has changed so far is durable: never, while it cannot be. */
  readonly committed: () => Promise<void>;
  /** `skipped`: it was time, and the agent was not alive, or waited for the store. */
  readonly onBeat: (result: "success" | "failure" | "skipped") => void;
  readonly onFailed: (error: unknown) => void;
  readonly onHealed: () => void;
}

interface Beating {
  readonly config: HeartbeatConfig;
  end(): Promise<void>;
}

/**
 * Tells somebody else that the agent is alive, so that its death is noticed. A beat says that the event loop turns, that
 * a configuration runs and that the store takes commits. One attempt each: the next beat comes soon enough.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #beating: Beating | undefined;
  #stopped = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  /** Beats as configured from now on, the first time at once; what has not changed goes on. */
  configure(config: HeartbeatConfig | undefined): void {
    if (this.#stopped) return;
    const before = this.#beating;
    if (before !== undefined && config !== undefined && isSame(before.config, config)) return;
    void before?.end();
    this.#beating = config === undefined ? undefined : beat(config, this.#options);
  }

  /** Afterwards nothing is sent and no handle is open. Harmless twice. Never rejects. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#beating?.end();
  }
}

/** The heartbeat of an agent: while it is ready, has something to run, and its store takes commits. */
export function heartbeatOf(agent: Agent, clock: Clock, beats: (result: "success" | "failure" | "skipped") => Counter): Heartbeat {
  const reporter = agent.services.reporter("heartbeat", "heartbeat");
  return new Heartbeat({
    clock,
    // An empty directory is what was asked for; files that all were rejected are not.
    alive: () => agent.ready && (agent.wanted!.pipelines.length > 0 || agent.wanted!.rejected.length === 0),
    committed: () => agent.services.committer.committed(false),
    onBeat: (result) => beats(result).add(1),
    onFailed: (error) => reporter.report(error),
    onHealed: () => reporter.healed(),
  });
}

function isSame(a: HeartbeatConfig, b: HeartbeatConfig): boolean {
  return a.url === b.url && a.interval === b.interval && a.method === b.method;
}

function beat(config: HeartbeatConfig, { clock, alive, committed, onBeat, onFailed, onHealed }: HeartbeatOptions): Beating {
  const intervalMs = durationMs(config.interval);
  const client = createHttpClient({ clock, connectionsMax: 1 });
  const ending = new AbortController();
  // The path may be the credential.
  const name = `the heartbeat's ${URL.parse(config.url)?.origin ?? "URL"}`;
  let nextMs = clock.now();
  let busy = false;
  let timer: Timer | undefined;

  function due(): void {
    // After a step of the clock, or a stall, beats are left out, never made up for.
    nextMs = Math.max(nextMs + intervalMs, clock.now() + 1);
    if (nextMs > clock.now() + intervalMs) nextMs = clock.now() + intervalMs;
    timer = clock.at(nextMs, due);
    if (busy || !alive()) return onBeat("skipped");
    busy = true;
    void once().finally(() => (busy = false));
  }

  async function once(): Promise<void> {
    // Not raced with a timeout: while the store hangs, one call waits and every further beat is left out.
    const durable = await committed().then(() => true, () => false);
    if (ending.signal.aborted) return;
    if (!durable || !alive()) return onBeat("skipped");
    const limit = deadline(clock, Math.min(TIMEOUT_MS, intervalMs), ending.signal);
    try {
      const { url, method } = config;
      const response = await client.send({ url, method, name, signal: limit.signal, bodyBytesMax: BODY_BYTES_MAX, bodyOptional: true, redirectsMax: REDIRECTS_MAX });
      if (response.status < 200 || response.status > 299) throw refusal(response);
      onBeat("success");
      onHealed();
    } catch (error) {
      if (ending.signal.aborted) return;
      onBeat("failure");
      onFailed(error);
    } finally {
      limit.clear();
    }
  }

  due();
  return {
    config,
    async end() {
      timer?.cancel();
      ending.abort(new Error("the heartbeat stops"));
      await client.close();
    },
  };
}
