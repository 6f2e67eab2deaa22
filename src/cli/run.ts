import { homedir } from "node:os";
import { join } from "node:path";
import { createApi } from "../api/api.ts";
import { ConfigLoader } from "../config/load.ts";
import type { ServiceConfig } from "../config/model.ts";
import { watchConfig } from "../config/watch.ts";
import { observeProcess } from "../metrics/process.ts";
import { heartbeatOf } from "../pipeline/heartbeat.ts";
import { PlanError, problemText } from "../pipeline/problems.ts";
import { realClock } from "../sdk/clock.ts";
import type { AnyDefinition } from "../sdk/component.ts";
import { messageOf } from "../sdk/errors.ts";
import { StoreError } from "../sdk/store.ts";
import { memoryStore } from "../storage/memory_store.ts";
import { sqliteStore } from "../storage/sqlite_store.ts";
import { assemble } from "./assemble.ts";
import { printingInstead } from "./dry_run.ts";
import { EXIT, type Output } from "./exit.ts";
import { createLog } from "./log.ts";
import { Reloader } from "./reloader.ts";
import { version } from "./version.ts";

export interface RunOptions {
  readonly sources: readonly string[];
  readonly set: readonly string[];
  readonly dryRun: boolean;
  readonly definitions: readonly AnyDefinition[];
  readonly output: Output;
}

/** `sojourn run`: until SIGTERM or SIGINT. Resolves with the exit code. */
export async function run({ sources, set, dryRun, definitions, output }: RunOptions): Promise<number> {
  const clock = realClock;
  // From the first moment on: without a handler SIGHUP would end us.
  const hangup = { run(): void {} };
  const onHangup = (): void => hangup.run();
  process.on("SIGHUP", onHangup);
  const used = dryRun ? printingInstead(definitions) : definitions;
  const loader = new ConfigLoader({ sources, set, env: process.env, definitions: used });
  const loaded = await loader.load();
  const named = loaded.files.filter(({ ofDirectory, status }) => !ofDirectory && status !== "taken");
  if (named.length > 0) return invalid(output, named.flatMap(({ problems }) => problems.map(problemText)));

  const { service } = loaded.wanted;
  const log = createLog(service.log);
  // Nothing of a dry run is remembered: an alert that was only printed must still be sent by a real one.
  const store = dryRun ? memoryStore() : sqliteStore({ directory: storageDirectory(service) });
  const { agent, own, listeners } = assemble({ definitions: used, clock, store, log, service });
  const api = createApi({ agent, listeners, clock, reload: () => reloader.reload({ asked: true }) });
  const heartbeat = heartbeatOf(agent, clock, (result) => own.heartbeats.series(result));
  const reloader = new Reloader({
    loader,
    agent,
    log,
    async onApplied({ service: next }) {
      log.setLevel(next.log.level);
      if (storageDirectory(next) !== storageDirectory(service)) {
        log.warn({}, `service.storage.directory is ${storageDirectory(next)} from the next start on; until then it is ${storageDirectory(service)}`);
      }
      await api.open(next);
      if (!dryRun) heartbeat.configure(next.heartbeat);
    },
  });
  const stopped = untilStopped();
  hangup.run = () => void reloader.reload({ asked: true });
  try {
    await reloader.start(loaded);
  } catch (error) {
    await Promise.allSettled([heartbeat.stop(), agent.stop(), api.close(), listeners.close()]);
    stopped.forget();
    if (error instanceof PlanError && error.cause === undefined) return invalid(output, error.problems.map(problemText));
    output.error(`sojourn: ${error instanceof StoreError ? error.message : messageOf(error)}`);
    return EXIT.failed;
  }
  const process_ = observeProcess(own);
  const watch = watchConfig({
    sources,
    clock,
    onChange: () => void reloader.reload(),
    onError: (error) => log.warn({}, `watching the configuration failed, it is checked every 15 s: ${messageOf(error)}`),
  });
  // What changed after it was loaded and before it was watched would wait for the slow check.
  void watch.ready.then(() => reloader.reload());
  const { listen } = agent.wanted!.service.api;
  log.info({ version, api: `http://${listen.replace(/:0$/, `:${listeners.port(listen)}`)}`, ...(dryRun ? { dry_run: true } : {}) }, "ready");

  const signal = await stopped.signal;
  log.info({ signal }, "stopping");
  await watch.close();
  await Promise.all([heartbeat.stop(), agent.stop()]);
  await api.close();
  await listeners.close();
  process_.stop();
  process.off("SIGHUP", onHangup);
  stopped.forget();
  log.info({}, "stopped");
  return EXIT.ok;
}

function invalid(output: Output, problems: readonly string[]): number {
  for (const problem of problems) output.error(problem);
  return EXIT.config;
}

/** `$STATE_DIRECTORY` is what systemd gives a service; else where XDG says that a user's state belongs. */
export function storageDirectory(service: ServiceConfig, env: NodeJS.ProcessEnv = process.env): string {
  const { directory } = service.storage;
  if (directory !== undefined) return directory;
  const given = env["STATE_DIRECTORY"]?.split(":")[0];
  if (given !== undefined && given !== "") return given;
  return join(env["XDG_STATE_HOME"] || join(homedir(), ".local", "state"), "sojourn");
}

/** A supervisor that signals the group and its child reaches us twice: that is one signal. */
const SAME_SIGNAL_MS = 2_000;

/** The first SIGTERM or SIGINT stops the agent in order; a later one at once. */
function untilStopped(): { readonly signal: Promise<string>; forget(): void } {
  let tell: (signal: string) => void;
  const signal = new Promise<string>((resolve) => (tell = resolve));
  let toldAtMs: number | undefined;
  const handler = (name: string): void => {
    const now = realClock.monotonicMs();
    if (toldAtMs !== undefined && now - toldAtMs > SAME_SIGNAL_MS) process.exit(EXIT.failed);
    toldAtMs ??= now;
    tell(name);
  };
  process.on("SIGTERM", handler);
  process.on("SIGINT", handler);
  return {
    signal,
    forget() {
      process.off("SIGTERM", handler);
      process.off("SIGINT", handler);
    },
  };
}
