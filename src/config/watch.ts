import { realpath, stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import type { FSWatcher } from "chokidar";
import type { Clock, Timer } from "../sdk/clock.ts";

/** Why it may be time to load again. Whether anything has changed, only loading can tell. */
export type Hint = "event" | "check";

export interface WatchOptions {
  /** Files and directories, as given by `--config`. */
  readonly sources: readonly string[];
  readonly clock: Clock;
  /** Told some 100 ms after the last of a burst of events, at most a second after its first; and every 15 s anyway. */
  onChange(hint: Hint): void;
  /** Watching failed; it goes on by the slow check, and is tried again then. */
  onError?(error: unknown): void;
}

export interface ConfigWatch {
  /** Settled once every directory that exists is watched. */
  readonly ready: Promise<void>;
  /** Harmless twice. No hint comes after the call. */
  close(): Promise<void>;
}

const QUIET_MS = 100;
const BURST_MS_MAX = 1_000;
const CHECK_MS = 15_000;

/** A directory to watch for a source, and the names of interest in it. */
interface Root {
  readonly directory: string;
  concerns(name: string): boolean;
}

/**
 * Watches directories, never files: a file that is replaced by rename would be lost. Symbolic links are watched as
 * themselves, so the swap of a ConfigMap's `..data` is an event. Events are hints only; the slow check finds what they
 * miss: network file systems, links that lead elsewhere, files that are interpolated, a directory that appears later.
 */
export function watchConfig(options: WatchOptions): ConfigWatch {
  const { sources, clock } = options;
  const watchers = new Map<string, { readonly directory: string; readonly watcher: FSWatcher }>();
  let closed = false;
  let quiet: Timer | undefined;
  let burstUntilMs: number | undefined;
  let check: Timer | undefined;
  let work = Promise.resolve();
  const closing = Promise.withResolvers<void>();

  function tell(hint: Hint): void {
    quiet?.cancel();
    quiet = undefined;
    burstUntilMs = undefined;
    if (!closed) options.onChange(hint);
  }

  function noticed(): void {
    if (closed) return;
    const now = clock.now();
    burstUntilMs ??= now + BURST_MS_MAX;
    quiet?.cancel();
    quiet = clock.at(Math.min(now + QUIET_MS, burstUntilMs), () => tell("event"));
  }

  async function rootOf(source: string): Promise<Root | undefined> {
    try {
      const path = resolve(source);
      if ((await stat(path)).isDirectory()) {
        return { directory: await realpath(path), concerns: (name) => /\.ya?ml$/.test(name) || name.startsWith("..") };
      }
      const file = basename(path);
      return { directory: await realpath(dirname(path)), concerns: (name) => name === file || name.startsWith("..") };
    } catch {
      // It is not there. Should it come, the slow check finds it.
      return undefined;
    }
  }

  async function watchSource(source: string): Promise<void> {
    const root = await rootOf(source);
    const known = watchers.get(source);
    if (closed || known?.directory === root?.directory) return;
    watchers.delete(source);
    await known?.watcher.close();
    if (root === undefined || closed) return;
    const { watch } = await import("chokidar");
    const watcher = watch(root.directory, { ignoreInitial: true, followSymlinks: false, depth: 0 });
    watchers.set(source, { directory: root.directory, watcher });
    watcher.on("all", (_event, path) => {
      if (path === root.directory || root.concerns(basename(path))) noticed();
    });
    const begun = new Promise<void>((done) => {
      watcher.on("ready", done);
      watcher.on("error", (error) => {
        options.onError?.(error);
        // Given up: the next slow check makes a new one.
        if (watchers.get(source)?.watcher === watcher) watchers.delete(source);
        void watcher.close().catch(() => {});
        done();
      });
    });
    // A watcher that is closed before it was ready never becomes it.
    await Promise.race([begun, closing.promise]);
  }

  /** One at a time, so that a slow file system never has two watchers on one source. */
  function watchAll(): Promise<void> {
    work = work.then(async () => {
      for (const source of sources) {
        if (!closed) await watchSource(source).catch((error: unknown) => options.onError?.(error));
      }
    });
    return work;
  }

  function armCheck(): void {
    check = clock.at(clock.now() + CHECK_MS, () => {
      void watchAll();
      tell("check");
      if (!closed) armCheck();
    });
  }

  armCheck();
  return {
    ready: watchAll(),
    async close() {
      closed = true;
      check?.cancel();
      quiet?.cancel();
      closing.resolve();
      await work;
      const open = [...watchers.values()];
      watchers.clear();
      await Promise.all(open.map(({ watcher }) => watcher.close()));
    },
  };
}
