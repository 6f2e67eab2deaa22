import type { Alert } from "../../sdk/alert.ts";
import type { Persistent, Store, TableChange } from "../../sdk/store.ts";
import type { Destination } from "./lane.ts";
import type { Outbox } from "./outbox.ts";
import type { Policy } from "./policy.ts";

/** What came of asking for a dead letter to be sent again. */
export interface Redelivery {
  /** `refused`: there is nothing to tell any more; `reason` says why. `not_found`: no such dead letter, or not of a notification. */
  readonly result: "queued" | "refused" | "not_found";
  readonly reason: string | undefined;
}

/** What came of a test notification. */
export interface TestResult {
  /** `not_found`: no exporter of this id that takes alerts runs. */
  readonly result: "delivered" | "failed" | "not_found";
  readonly error: string | undefined;
}

export interface DispatcherOptions {
  readonly outbox: Outbox;
}

/** Decides what each exporter is told, and when. */
export class Dispatcher implements Persistent {
  readonly tables = [];
  readonly #options: DispatcherOptions;
  readonly #open = new Map<string, Set<string>>();

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** An alert fires (for these exporters: also when one hears of it later) or is over. Synchronous; told with the next commit. */
  changed(alert: Alert, exporters: readonly string[], _more: { readonly firstSync?: boolean } = {}): void {
    for (const exporter of exporters) {
      const open = this.#open.get(exporter) ?? new Set();
      this.#open.set(exporter, open);
      if (alert.status === "firing") open.add(alert.dedup_key);
      else open.delete(alert.dedup_key);
    }
    this.#options.outbox.enqueue(alert, exporters);
  }

  /** Somebody has seen the alert: it is not repeated. */
  acknowledge(_alert: Alert): void {}

  /** Tells this exporter from now on, by this policy; undefined: no more, what is for it waits. */
  connect(exporter: string, destination: Destination | undefined, _policy?: Policy): void {
    this.#options.outbox.connect(exporter, destination);
  }

  /** Alerts that this exporter was told of and that are not over for it: it must live until they are. */
  openOn(exporter: string): number {
    return this.#open.get(exporter)?.size ?? 0;
  }

  /** Sends again what was given up, if it still holds. */
  redeliver(_deadLetter: number): Redelivery {
    return { result: "not_found", reason: "not yet" };
  }

  /** One marked message now, past everything. Never rejects. */
  async sendTest(_exporter: string): Promise<TestResult> {
    return { result: "not_found", error: "not yet" };
  }

  stop(): void {}

  async restore(_store: Store): Promise<void> {}

  drain(_changes: TableChange[]): void {}
}
