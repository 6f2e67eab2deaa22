import type { ReloadOutcome } from "../api/control.ts";
import type { ConfigLoader, Loaded } from "../config/load.ts";
import type { Wanted } from "../config/model.ts";
import { ConfigError, messageOf } from "../sdk/errors.ts";
import type { Logger } from "../sdk/log.ts";
import type { Agent } from "../pipeline/agent.ts";
import { PlanError, problemText } from "../pipeline/problems.ts";

/** Each turn takes at least one more file back to its last good version, so this many are enough for any directory. */
const ATTEMPTS_MAX = 100;

export interface ReloaderParts {
  readonly loader: ConfigLoader;
  readonly agent: Agent;
  readonly log: Logger;
  /** Another configuration runs now. Rejects (`ConfigError`, of `service`) when the API cannot follow it. */
  readonly onApplied: (wanted: Wanted) => Promise<void>;
}

/** Loads and applies, one reload after the other, whoever asks for it: the watch, SIGHUP, the API. */
export class Reloader {
  readonly #parts: ReloaderParts;
  #turn: Promise<ReloadOutcome> = Promise.resolve({ result: "unchanged", problems: [] });
  #waiting: Promise<ReloadOutcome> | undefined;
  #told = new Set<string>();
  /** What runs, with its secrets: to compare, never to be shown. */
  #runs: string | undefined;

  constructor(parts: ReloaderParts) {
    this.#parts = parts;
  }

  /** Rejects only when nothing can run. `loaded`: what was loaded already. */
  start(loaded: Loaded): Promise<ReloadOutcome> {
    this.#turn = this.#run(loaded, true);
    return this.#turn;
  }

  /**
   * Never rejects. Calls that come while one waits its turn share it: it will read what is there then. `asked`: somebody wants
   * it now (SIGHUP, the API), so what could not be started before is tried again although its file is the same.
   */
  reload({ asked = false } = {}): Promise<ReloadOutcome> {
    if (asked) this.#parts.loader.forgive();
    this.#waiting ??= this.#turn.catch(() => {}).then(async () => {
      this.#waiting = undefined;
      this.#turn = this.#load();
      return this.#turn;
    });
    return this.#waiting;
  }

  async #load(): Promise<ReloadOutcome> {
    const { loader, log } = this.#parts;
    try {
      const loaded = await loader.load();
      if (!loaded.changed) return { result: loaded.problems.length > 0 ? "rejected" : "unchanged", problems: loaded.problems.map(problemText) };
      return await this.#run(loaded, false);
    } catch (error) {
      log.error({}, `reload failed, the configuration before keeps running: ${messageOf(error)}`);
      return { result: "failure", problems: [messageOf(error)] };
    }
  }

  async #run(first: Loaded, starting: boolean): Promise<ReloadOutcome> {
    const { loader, agent, log, onApplied } = this.#parts;
    let loaded = first;
    const ailing = this.#told.size > 0;
    for (let attempt = 1; ; attempt++) {
      this.#tell(loaded);
      try {
        await (starting && agent.wanted === undefined ? agent.start(loaded.wanted) : agent.reload(loaded.wanted));
        await onApplied(loaded.wanted).catch((error: unknown) => {
          // An agent that nobody can ask must not start; one that runs stays where it can be asked.
          throw starting ? error : atService(loaded.wanted, error);
        });
        break;
      } catch (error) {
        // A file whose components cannot be created or started is rejected like one that is not valid.
        if (!(error instanceof PlanError) || attempt === ATTEMPTS_MAX || !loader.refuse(error.problems)) throw error;
        if (starting && !first.files.some(({ ofDirectory }) => ofDirectory)) throw error;
        loaded = await loader.load();
      }
    }
    if (ailing && this.#told.size === 0) log.info({}, "the configuration has no problems any more");
    const { components, pipelines, hash } = loaded.wanted;
    // A file that was broken, or mended as it was, changes nothing of what runs; a secret that was renewed does, unseen in the hash.
    const runs = JSON.stringify([hash, components.map(({ fingerprint }) => fingerprint)]);
    if (runs !== this.#runs) log.info({ hash: hash.slice(0, 12), pipelines: pipelines.length, components: components.length }, starting ? "configuration runs" : "configuration reloaded");
    this.#runs = runs;
    return { result: loaded.problems.length > 0 ? "rejected" : "success", problems: loaded.problems.map(problemText) };
  }

  /** Each problem is told once, until it is mended. */
  #tell({ problems, warnings, files }: Loaded): void {
    const now = new Set([...problems, ...warnings].map(problemText));
    const { log } = this.#parts;
    for (const { file, status, problems: own } of files) {
      for (const text of own.map(problemText)) {
        if (this.#told.has(text)) continue;
        log.error({}, `${text} (${status === "frozen" ? "its last good version keeps running" : `${file} is not in use`})`);
      }
    }
    for (const text of warnings.map(problemText)) if (!this.#told.has(text)) log.warn({}, text);
    this.#told = now;
  }
}

/** The problem of an address of `service`, where it is written: its file is then rejected like one that cannot start. */
function atService({ locateService }: Wanted, error: unknown): unknown {
  if (!(error instanceof ConfigError) || locateService === undefined) return error;
  return new PlanError([{ ...locateService(error.pointer), message: error.message }], { cause: error });
}
