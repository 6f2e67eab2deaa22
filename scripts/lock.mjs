import { mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";

const HEARTBEAT_MS = 1_000;
// A lock whose heartbeat has not moved for this long while somebody watched belongs to nobody any more.
const DEAD_AFTER_MS = 15_000;
const POLL_MS = 100;

/**
 * Runs `work` while no other process does so under the same `directory`, which is the lock: making one is atomic
 * everywhere, and needs no native code. A lock left behind by a killed process is broken, at once where its process
 * id says so, else (another container, say) when its heartbeat stands still.
 *
 * @template T
 * @param {string} directory
 * @param {() => Promise<T>} work
 * @param {() => void} onWait called once if another process holds the lock
 * @returns {Promise<T>}
 */
export async function locked(directory, work, onWait) {
  await acquire(directory, onWait);
  const beat = setInterval(() => touch(directory), HEARTBEAT_MS);
  const release = () => rmSync(directory, { recursive: true, force: true });
  // Covers process.exit() and an uncaught error; SIGKILL is what breaking is for.
  process.on("exit", release);
  try {
    return await work();
  } finally {
    clearInterval(beat);
    process.off("exit", release);
    release();
  }
}

async function acquire(directory, onWait) {
  mkdirSync(dirname(directory), { recursive: true });
  let seen;
  let seenAtMs = 0;
  for (let waited = false; !made(directory); waited = true) {
    if (!waited) onWait();
    const now = performance.now();
    const mark = markOf(directory);
    if (mark !== seen) [seen, seenAtMs] = [mark, now];
    if (mark !== undefined && (ownerIsGone(directory) || now - seenAtMs > DEAD_AFTER_MS)) breakLock(directory, mark);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  writeFileSync(join(directory, "owner"), JSON.stringify({ host: hostname(), pid: process.pid }));
}

// One breaker at a time, and only of the lock that was judged: else a third process could lose a lock just taken.
function breakLock(directory, mark) {
  const breaker = `${directory}.break`;
  if (!made(breaker)) {
    const age = Date.now() - (mtimeOf(breaker) ?? Date.now());
    if (age > DEAD_AFTER_MS) rmSync(breaker, { recursive: true, force: true });
    return;
  }
  if (markOf(directory) === mark) rmSync(directory, { recursive: true, force: true });
  rmSync(breaker, { recursive: true, force: true });
}

function ownerIsGone(directory) {
  try {
    const { host, pid } = JSON.parse(readFileSync(join(directory, "owner"), "utf8"));
    if (host !== hostname()) return false;
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === "ESRCH";
  }
}

function made(directory) {
  try {
    mkdirSync(directory);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

function touch(directory) {
  try {
    const now = new Date();
    utimesSync(directory, now, now);
  } catch {
    // Broken by somebody who took this process for dead (a suspended laptop): nothing to keep alive.
  }
}

function mtimeOf(path) {
  try {
    return statSync(path).mtimeMs;
  } catch {
    return undefined;
  }
}

/** Changes with every heartbeat and every owner. */
function markOf(directory) {
  try {
    const { mtimeMs, ino } = statSync(directory);
    return `${ino}:${mtimeMs}`;
  } catch {
    return undefined;
  }
}
