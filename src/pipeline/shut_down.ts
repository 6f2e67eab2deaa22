import type { Clock } from "../sdk/clock.ts";
import { formatDuration } from "../sdk/duration.ts";
import type { Logger } from "../sdk/log.ts";
import type { Store } from "../sdk/store.ts";
import type { Instance } from "./instance.ts";
import type { Intake } from "./intake.ts";
import type { Runner } from "./runner.ts";
import type { Services } from "./services.ts";

/** Exporters get this long for what is ready to leave. */
const FLUSH_MS = 5_000;
/** After everything else has stopped, or was given up. */
const CLOSE_MS = 5_000;

export interface ShutDownParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly store: Store;
  readonly services: Services;
  readonly intake: Intake;
  readonly runner: Runner;
  /** Whatever might start something by itself. */
  readonly watchers: readonly { stop(): void }[];
  readonly limitMs: number;
  /** A configuration on its way in. */
  readonly turn: Promise<unknown>;
  readonly instances: () => Iterable<Instance>;
}

/** Stops everything in order: intake, commit, what is ready to leave, components, store. Never rejects; bounded by `limitMs`. */
export async function shutDown(parts: ShutDownParts): Promise<void> {
  const { clock, log, services, store, limitMs } = parts;
  const reason = new Error("the agent is stopping");
  const inTime = await within(clock, limitMs, inOrder(parts));
  if (!inTime) log.error({}, `not everything could be stopped within ${formatDuration(limitMs)}: what was not committed is read again at the next start`);
  parts.intake.close(reason.message);
  services.resources.stop();
  services.alerts.stop();
  services.dispatcher.stop();
  services.outbox.stop();
  if (!inTime) {
    for (const queue of services.queues.values()) void queue.stop(0);
    for (const instance of parts.instances()) void parts.runner.stopInstance(instance);
  }
  await services.committer.stop(reason);
  if (!(await within(clock, CLOSE_MS, store.close()))) log.error({}, "the store could not be closed");
}

async function inOrder({ services, intake, runner, watchers, limitMs, turn, instances }: ShutDownParts): Promise<void> {
  const { committer, outbox, queues, alerts, resources } = services;
  const stopAll = async (kind: Instance["config"]["kind"]): Promise<void> => {
    const those = [...instances()].filter(({ config }) => config.kind === kind);
    await Promise.all(those.map((instance) => runner.stopInstance(instance)));
  };
  const flushMs = Math.min(FLUSH_MS, limitMs);
  for (const watcher of watchers) watcher.stop();
  await turn;
  // Receivers wait for what they have emitted; that must not wait for room in a queue.
  for (const receiver of runner.graph.flows.keys()) intake.leave(receiver, "the agent is stopping");
  await stopAll("receiver");
  intake.close("the agent is stopping");
  await stopAll("processor");
  resources.stop();
  alerts.stop();
  await committer.committed(true).catch(() => {});
  await Promise.all([outbox.flush(flushMs), ...[...queues.values()].map((queue) => queue.stop(flushMs))]);
  services.dispatcher.stop();
  outbox.stop();
  await stopAll("exporter");
  // What was delivered is recorded, so that it is not repeated.
  await committer.committed(true).catch(() => {});
}

/** False when `work` has neither succeeded nor failed after `ms`. */
async function within(clock: Clock, ms: number, work: Promise<unknown>): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = clock.at(clock.now() + ms, () => late.resolve(false));
  const done = await Promise.race([work.then(() => true, () => true), late.promise]);
  timer.cancel();
  return done;
}
